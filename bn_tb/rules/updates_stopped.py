"""## What it does
Finds layers whose moving statistics moved, and then stand still to the end while training goes on.

## Why is this bad?
Evaluation uses statistics of an older network. Usual cause: `model.eval()` of the first validation
was never undone, or a training flag stays False. From that step on the layer may not even normalise
training batches by their own statistics.

## How it is decided
Both statistics changed before and are bit for bit constant from some step on, over `intervals` or
more logged intervals and three times the longest rest before, while the layer's weights (or those
of its network, or a metric) change in at least half of these intervals. A last change below 1e-5 of
the values is a curve that converged, as averages of identical batches do, and does not count.
Statistics that moved in the first interval only, from values that data had formed, must rest for
`after_one` intervals.

## Example
    running_mean: changes up to step 100, constant from step 110 to 1000
    bn1.weight: changes at all of these steps

## When it is wrong
Freezing the statistics late in training on purpose (quantisation-aware training) looks the same:
name these layers with `--frozen`.

## How to fix it
PyTorch: `model.train()` after every validation. Keras and TensorFlow 1: training=True in every
training step.

## References
- https://github.com/wkentaro/pytorch-fcn/issues/57
- https://github.com/fartashf/vsepp/issues/4
"""

import re
from collections.abc import Iterator, Mapping

from bn_tb.layers import BatchNormLayer
from bn_tb.rules._causes import cause_of, proof_of
from bn_tb.rules._plateaus import Stillness, stillness_of
from bn_tb.rules._wiring import WIRING
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict

LIMITS = {
    "intervals": Limit(3, "logged intervals at rest", "failure catalogue F13: constant x >= 3"),
    "after_one": Limit(6, "logged intervals at rest after one that moved", "twice the usual"),
}


_OBSERVER = re.compile(r"fake_quant|activation_post_process|(?:^|[/._])(?:\w+_)?observer", re.I)
"""Names of torch.ao.quantization and of tensorflow_model_optimization."""

_RECIPE = (
    "Quantisation-aware training freezes batch norm on purpose after some epochs, as its recipe "
    "says."
)
_RECIPE_FIX = (
    "Nothing, if the recipe freezes them (torch.ao.nn.intrinsic.qat.freeze_bn_stats); else see "
    "that the layers stay in training mode."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per step at which layers stopped."""
    stopped: dict[int, list[tuple[str, Stillness]]] = {}
    for layer in subject.layers:
        still = stillness_of(subject, layer)
        if still is None or not (_stopped(still, limits) or _stopped_early(layer, still, limits)):
            continue
        since = int(still.steps[still.moved.nonzero()[0][-1] + 1])
        stopped.setdefault(since, []).append((layer.name, still))
    for since, entries in stopped.items():
        yield _evidence(subject, since, entries)


def _stopped(still: Stillness, limits: Mapping[str, float]) -> bool:
    plateaus = still.plateaus(int(limits["intervals"]))
    if len(plateaus) != 1 or plateaus[0][1] != still.moved.size or still.converged:
        return False
    start, stop = plateaus[0]
    moved = still.moved[:start].nonzero()[0]
    rests = [int(gap) - 1 for gap in moved[1:] - moved[:-1]] or [0]
    return moved.size > 1 and stop - start >= 3 * max(rests)


def _stopped_early(layer: BatchNormLayer, still: Stillness, limits: Mapping[str, float]) -> bool:
    """Returns whether statistics that data had formed moved in the first interval only.

    Initial values that change once may be pretrained ones that were loaded after the first point.
    """
    plateaus = still.plateaus(int(limits["after_one"]))
    first = layer.finite[0][1]
    formed = bool(first.minimum[0] != first.maximum[0])
    return formed and not still.converged and plateaus == [(1, still.moved.size)]


def _evidence(subject: Subject, since: int, entries: list[tuple[str, Stillness]]) -> Evidence:
    names = [name for name, _ in entries]
    still = entries[0][1]
    last = int(still.steps[-1])
    layers = [layer for layer in subject.layers if layer.name in set(names)]
    recipe = _quantised(subject)
    cause = cause_of(subject, layers[0], since)
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words(names)} stopped at step {since} and are "
            f"constant until step {last}, while training went on: evaluation uses statistics of "
            f"an older network. {_RECIPE if recipe else cause.sentence}".rstrip()
        ),
        proof=(
            f"{names[0]}: bit for bit constant from step {since} to {last}",
            f"meanwhile {still.pulse.tag}",
            *proof_of(layers),
        ),
        fix=_RECIPE_FIX if recipe else cause.fix,
        layers=tuple(names),
        step=since,
        confidence=Confidence.CONFIRMED if still.pulse.by_weights else Confidence.LIKELY,
        severity=Severity.INFO if recipe else None,
    )


def _quantised(subject: Subject) -> bool:
    """Returns whether a run trains for quantisation, by the names of its observers."""
    return any(map(_OBSERVER.search, subject.run.all_tags))


RULE = Rule(
    "BN103",
    "updates-stopped",
    Severity.WARNING,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.STALE),
    explained_by=WIRING,
    covers=("BN205",),
)
