"""## What it does
Says that statistics are logged, but too rarely or while nothing was trained, to conclude anything.

## Why is this bad?
Whether statistics move can only be seen from two steps. Even a single snapshot at exactly 0 and 1
proves nothing: it may have been written before the first update.

## How it is decided
A statistic is logged at fewer than two different steps; several points at one step (a checkpoint
that was evaluated twice) count once. Or both statistics hold their initial values and so do, bit
for bit, all weights that are logged: this run does not train. Or checkpoints count so few updates
that a slow momentum, which they do not tell, would still lag. Or statistics that began at 0 and 1
move, the points are too few or too far apart to show whether they have arrived
(`bn_tb/evidence/curve.py`), and nothing else tells: the momentum or the updates are not known, and
with 0.999, the slowest customary one, more than 5 % of the initial values would be left.

## Example
    moving_mean: 2 points, both at step 374562

## When it is wrong
It is not a judgement.

## How to fix it
Log at more steps, and analyze the run that trains: its folder, or the folder above it.

## References
- https://github.com/tensorflow/tensorboard/issues/2361
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.lag import may_be_young
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules._training import proof_of_training
from bn_tb.rules._words import count, layers_in_words, span
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity

FIX = (
    "Log the statistics at two or more steps (every hundred steps is enough), and analyze the run "
    "that trains."
)

ONE_CHECKPOINT = (
    "Analyze a later checkpoint of this training with it, or say what the file does not: "
    "--momentum=0.99, the weight of the old value in an update (PyTorch's momentum=0.1 is 0.9)."
)


OPEN = (
    "Log the statistics more often from the start on, or say what the log does not: "
    "--momentum=0.99, the weight of the old value in an update (PyTorch's momentum=0.1 is 0.9), "
    "and where a logged step is an epoch, --updates_per_step, the batches of one."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence for layers with one snapshot, and for layers of a run that does not train."""
    pairs = list(zip(subject.layers, subject.lags, strict=True))
    few = [
        layer
        for layer, lag in pairs
        if layer.motion is Motion.SNAPSHOT and layer.mixed == 1 and lag.weight is None
    ]
    saved = [layer for layer in few if layer.saved]
    young = [layer for layer, lag in pairs if may_be_young(layer, lag)]
    logged = [layer for layer in few if not layer.saved]
    on_the_way = [layer for layer, lag in pairs if lag.open]
    if saved:
        why = f"are in one checkpoint, {_unsaid(saved)}: whether they are warm cannot be told"
        yield _evidence(saved, why, ONE_CHECKPOINT)
    if young:
        most = max(layer.updates or 0.0 for layer in young)
        yield _evidence(
            young,
            f"move, but were updated only {count(most, 'time')}, and the checkpoints do not say "
            "with which momentum: whether they are warm cannot be told",
            ONE_CHECKPOINT,
        )
    if on_the_way:
        yield _evidence(
            on_the_way,
            "began at their initial values and move, but too few points say where to: whether they "
            "are warm cannot be told",
            OPEN,
        )
    if logged:
        steps = {step for layer in logged for step in layer.steps or ()}
        at = f"at step {min(steps)} only" if len(steps) == 1 else "at fewer than two steps"
        yield _evidence(logged, f"are logged {at}: nothing can be concluded from one snapshot")
    initial = [layer for layer in subject.layers if layer.motion is Motion.INITIAL]
    if initial and proof_of_training(subject, max(_last(layer) for layer in initial)) is None:
        yield _evidence(
            initial,
            _NOTHING_TRAINS if any(map(_has_two_points, initial)) else _NOTHING_TELLS,
        )


_NOTHING_TRAINS = (
    "are initial, and the weights that are logged do not change: this run does not train, so "
    "nothing can be concluded"
)
_NOTHING_TELLS = (
    "are initial in one checkpoint, in which nothing shows that the network was trained: nothing "
    "can be concluded"
)


def _unsaid(layers: list[BatchNormLayer]) -> str:
    """Returns what one checkpoint does not say of layers, which momentum and updates would tell."""
    if any(layer.updates is None for layer in layers):
        return "which does not say for how many updates of which momentum"
    most = max(layer.updates or 0.0 for layer in layers)
    return f"which counts {count(most, 'update')} and does not say with which momentum"


def _has_two_points(layer: BatchNormLayer) -> bool:
    return any(series.steps.size > 1 for _, series in layer.statistics)


def _last(layer: BatchNormLayer) -> int:
    return layer.steps[1] if layer.steps else 0


def _evidence(layers: list[BatchNormLayer], predicate: str, fix: str = FIX) -> Evidence:
    names = [layer.name for layer in layers]
    return Evidence(
        message=f"The moving statistics of {layers_in_words(names)} {predicate}.",
        proof=tuple(
            f"{role.value} of {layers[0].name}: {count(series.steps.size, 'point')}, "
            f"{span(series.steps)}"
            for role, series in layers[0].statistics
            if series.steps.size
        ),
        fix=fix,
        layers=tuple(names),
    )


RULE = Rule("BN902", "too-few-points", Severity.INFO, check, __doc__ or "")
