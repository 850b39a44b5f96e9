"""## What it does
Says that one training step updates the same moving statistic several times.

## Why is this bad?
A layer that is applied K times a step (siamese nets, a discriminator on real and generated images)
forgets K times as fast: its momentum is in effect m^K. If the uses see different data the
statistics are a mixture that fits none of them.

## How it is decided
The graph trains, and more than one update op of one variable, outside of towers, is needed by one
train op.

## Example
    discriminator/bn/AssignMovingAvg      needed by train/Adam
    discriminator_1/bn/AssignMovingAvg    needed by train/Adam

## When it is wrong
Updates in branches of which only one runs.

## How to fix it
Nothing, if all uses see the same kind of data. Else give each stream its own statistics, or
concatenate the streams into one batch.

## References
- https://github.com/google/compare_gan/issues/8
- https://github.com/keras-team/keras/issues/11927
"""

from collections.abc import Iterator, Mapping

from bn_tb.graph.graph_evidence import LayerWiring, Wiring
from bn_tb.rules._wiring import op_lines
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity

FIX = (
    "Nothing, if all uses of the layer see the same kind of data. Else give each use its own batch "
    "normalisation, or concatenate the streams into one batch."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per number of updates a step."""
    if subject.graph is None or not subject.graph.trains:
        return
    by_count: dict[int, list[str]] = {}
    for layer in subject.layers:
        count = _updates_a_step(layer.wiring) if layer.wiring else 0
        if count > 1:
            by_count.setdefault(count, []).append(layer.name)
    for count, names in by_count.items():
        members = [layer for layer in subject.layers if layer.name in set(names)]
        momentum = members[0].wiring.momentum if members[0].wiring else None
        effective = f" Momentum {momentum:g} acts like {momentum**count:.3g}." if momentum else ""
        yield Evidence(
            message=(
                f"One step updates the moving statistics of {layers_in_words(names)} {count} "
                f"times.{effective}"
            ),
            proof=op_lines(members, subject.graph),
            fix=FIX,
            layers=tuple(names),
        )


def _updates_a_step(wiring: LayerWiring) -> int:
    most = 0
    for updates in wiring.updates.values():
        wired = [update for update in updates if update.wiring is Wiring.TRAIN]
        for train_op in {name for update in wired for name in update.train_ops}:
            together = [update for update in wired if train_op in update.train_ops]
            towers = [update.tower for update in together]
            most = max(most, max(towers.count(tower) for tower in set(towers)))
    return most


RULE = Rule("BN406", "multiple-updates", Severity.INFO, check, __doc__ or "")
