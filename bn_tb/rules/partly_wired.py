"""## What it does
Finds graphs in which the train op needs the updates of some layers, or of some towers, but not all.

## Why is this bad?
A collection that was filtered by a wrong scope, or read before the last layers were built, leaves
some layers with their initial statistics: enough to spoil evaluation. Updates of one tower only are
common practice and harmless while all towers see the same kind of data.

## How it is decided
The graph trains. Warning: some layer has a wired update of each statistic, and another layer (that
the optimizer trains) has update ops of which one statistic's are all unwired. Info: every statistic
gets an update, but only from some of the towers or of the calls of a shared network, or histograms
show that the unwired ones move.

## Example
    conv0/bn/AssignMovingAvg   needed by train/Adam
    conv1/bn/AssignMovingAvg   needed by nothing

## When it is wrong
When the unwired layers are fetched in session.run apart, or are frozen on purpose.

## How to fix it
Collect UPDATE_OPS once, after everything is built, without scope or with the scope's `/`.

## References
- https://github.com/argman/EAST/issues/112
- https://github.com/tensorflow/models/issues/100
"""

from collections.abc import Iterator, Mapping

from bn_tb.graph.graph_evidence import LayerWiring, Wiring
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._wiring import MOVING_FIX, op_lines, uncollected, updates_of
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence for layers without any wired update, and for layers of idle towers."""
    if subject.graph is None or not subject.graph.trains:
        return
    layers = [layer for layer in subject.layers if layer.wiring and updates_of(layer.wiring)]
    whole = [layer for layer in layers if layer.wiring and _every_statistic(layer.wiring)]
    parts = [layer for layer in layers if layer not in whole and _trained(layer)]
    if whole or any(layer.wiring and _any_wired(layer.wiring) for layer in parts):
        moving = [layer for layer in parts if layer.motion is Motion.MOVING]
        others = [layer for layer in parts if layer.motion is not Motion.MOVING]
        yield from _evidence(subject, moving, Severity.INFO)
        yield from _evidence(subject, others, Severity.WARNING)
    idle = [layer for layer in whole if layer.wiring and _idle_uses(layer.wiring)]
    if idle and subject.graph:
        yield Evidence(
            message=(
                "Only some of the uses (towers, calls of a shared network) of "
                f"{layers_in_words([one.name for one in idle])} update the statistics. That is "
                "common practice, and right while all uses see the same kind of data."
            ),
            proof=op_lines(idle, subject.graph),
            fix="Nothing, unless the uses see different data: then collect the updates of all.",
            layers=tuple(layer.name for layer in idle),
            severity=Severity.INFO,
        )


def _every_statistic(wiring: LayerWiring) -> bool:
    return all(
        any(update.wiring is Wiring.TRAIN for update in updates)
        for updates in wiring.updates.values()
    )


def _any_wired(wiring: LayerWiring) -> bool:
    return any(update.wiring is Wiring.TRAIN for update in updates_of(wiring))


def _idle_uses(wiring: LayerWiring) -> bool:
    return any(update.wiring is Wiring.NONE for update in updates_of(wiring))


def _trained(layer: BatchNormLayer) -> bool:
    """Returns whether a layer's missing updates are one by one NONE, and not frozen on purpose."""
    wiring = layer.wiring
    if wiring is None or wiring.trained is False or layer.motion is Motion.CONSTANT:
        return False
    return all(update.wiring in (Wiring.TRAIN, Wiring.NONE) for update in updates_of(wiring))


def _wiring_code(layers: list[BatchNormLayer]) -> str:
    keras = all(layer.wiring and uncollected(layer.wiring) for layer in layers)
    return _fixes.KERAS_WIRING if keras else _fixes.TF1_WIRING


def _evidence(
    subject: Subject, layers: list[BatchNormLayer], severity: Severity
) -> Iterator[Evidence]:
    if layers and subject.graph:
        info = severity is Severity.INFO
        yield Evidence(
            message=(
                "The train op needs the updates of some layers, but not those of "
                f"{layers_in_words([layer.name for layer in layers])}"
                f"{'; the histograms move, so the program runs them in another way' * info}."
            ),
            proof=op_lines(layers, subject.graph),
            fix=MOVING_FIX if info else _wiring_code(layers),
            layers=tuple(layer.name for layer in layers),
            severity=severity,
            confidence=Confidence.CONFIRMED if info else Confidence.LIKELY,
        )


RULE = Rule(
    "BN405",
    "partly-wired",
    Severity.WARNING,
    check,
    __doc__ or "",
    covers=("BN401", "BN404"),
)
