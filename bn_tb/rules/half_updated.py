"""## What it does
Finds layers in which one of `moving_mean` and `moving_variance` moves while the other still holds
its initial value.

## Why is this bad?
Evaluation centres with the data's mean and scales with 1, or the other way round: it is as wrong as
with no update at all. Usual cause: a hand-written layer, or a control dependency on one of the two
update ops.

## How it is decided
Both are logged at two or more steps, one changes, and the other is bit for bit its initial value at
every point (0 for the mean, 1 for the variance, or what the graph says).

Where all values of the other one have at most 8 significant bits (bfloat16) or 11 (float16), both
are updated, but the format is too coarse: 1 + 0.001 is 1 again in bfloat16.

## Example
    moving_mean      steps 1..500: changes at 499 of 499 steps
    moving_variance  steps 1..500: exactly 1 in every channel

## When it is wrong
A layer that keeps only one of the two on purpose, and logs the other as a constant.

## How to fix it
Run both updates in every training step: both `AssignMovingAvg` and `AssignMovingAvg_1`, both
`running_mean` and `running_var`. Keep statistics in float32, whatever the format of the weights is.

## References
- https://github.com/tensorflow/tensorflow/issues/1122
"""

from collections.abc import Iterator, Mapping

from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._cause import Cause
from bn_tb.rules._causes import coarse_of
from bn_tb.rules._held import held
from bn_tb.rules._wiring import WIRING
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict
from bn_tb.runs.tags import STATISTICS, Role

HALF = Cause(
    "Only half of the updates run.",
    "Run both updates in every training step. TensorFlow 1: control dependencies on all of "
    "UPDATE_OPS (AssignMovingAvg is the mean, AssignMovingAvg_1 the variance). In a layer of your "
    "own: assign running_mean and running_var.",
    "",
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per statistic that stands still, and cause."""
    stuck: dict[tuple[Role, Cause], list[BatchNormLayer]] = {}
    for layer in subject.layers:
        if layer.motion is not Motion.HALF:
            continue
        for role, series in layer.finite:
            if layer.at_initial(role, series):
                stuck.setdefault((role, coarse_of(layer) or HALF), []).append(layer)
    steps = (layer.steps[1] for layers in stuck.values() for layer in layers if layer.steps)
    last = max(steps, default=0)
    for (role, cause), layers in stuck.items():
        other = next(one for one in STATISTICS if one is not role)
        names = [layer.name for layer in layers]
        yield Evidence(
            message=(
                f"The {role.value} of {layers_in_words(names)} still holds its initial value at "
                f"step {last}, although the {other.value} moves. {cause.sentence}"
            ),
            proof=tuple(held(subject, layers[0], role)),
            fix=cause.fix + _fixes.aftercare(cause.aftercare, layers),
            layers=tuple(names),
            step=last,
        )


RULE = Rule(
    "BN105",
    "half-updated",
    Severity.ERROR,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.STALE, as_info=True),
    explained_by=WIRING,
    keeps_fix=True,  # there may be no second op that could be wired
)
