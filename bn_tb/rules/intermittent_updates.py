"""## What it does
Finds layers whose moving statistics alternate between moving and standing still while training goes
on all the time.

## Why is this bad?
Part of training does not enter the statistics, and in that part the layer may not normalise by its
batches at all. Usual cause: `model.eval()` of a validation in the middle of an epoch stays on until
the next epoch; or updates that hang on a loss that is only fetched now and then.

## How it is decided
Stretches of `intervals` or more logged intervals without any change, in which the layer's weights
(or those of its network) do change, lie between stretches with changes: `plateaus` = 2 or more.
Where only a metric shows that training went on, plateaus that are each ended by a single change
are a slower clock (gradient accumulation, a log more frequent than the updates) and do not count.

Statistics that are stored in bfloat16 or float16, as all of their values have 8 or 11 significant
bits, rest where an update is too small for the format: that is said instead.

## Example
    steps   0..100 moving, 100..200 constant, 200..300 moving, 300..400 constant
    bn1.weight changes at all of these steps

## When it is wrong
Two networks that train in turns share no weights, and each rests with its statistics: silent. So is
a layer whose rests are all steps in which another batch norm of the run is updated: the forward
pass leaves it out (stochastic depth, experts, a batch norm per domain), and momentum or weight
decay move its weights without a gradient. A net
of which only the weights before the layer are logged may be misread.

## How to fix it
PyTorch: `model.train()` after every validation, not only at the start of an epoch. TensorFlow 1:
tie the updates to the train op, not to the loss.

## References
- https://github.com/wkentaro/pytorch-fcn/issues/57
- https://github.com/ServiceNow/LCFCN/issues/20
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.activity import change_steps
from bn_tb.layers import BatchNormLayer, trajectory
from bn_tb.rules import _fixes
from bn_tb.rules._causes import coarse_of
from bn_tb.rules._plateaus import Stillness, stillness_of
from bn_tb.rules._wiring import WIRING
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict
from bn_tb.runs.series import IntArray

LIMITS = {
    "intervals": Limit(2, "logged intervals at rest", "three equal points, failure catalogue F13"),
    "plateaus": Limit(2, "plateaus", "once may be an intended freeze; see BN103"),
}


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers."""
    found = []
    for layer in subject.layers:
        still = stillness_of(subject, layer)
        if still is None or not _alternates(still, limits):
            continue
        rests = still.plateaus(int(limits["intervals"]))
        if coarse_of(layer) or not _left_out(subject, layer, still.steps, rests):
            found.append((layer, still))
    if not found:
        return
    names = [layer.name for layer, _ in found]
    still = found[0][1]
    coarse = coarse_of(found[0][0])
    plateaus = still.plateaus(int(limits["intervals"]))
    yield Evidence(
        message=(
            f"The moving statistics of {layers_in_words(names)} are updated only at times: "
            f"{len(plateaus)} times they stand still while training goes on. "
            f"{coarse.sentence if coarse else ''}".rstrip()
        ),
        proof=(
            f"{names[0]} is constant at steps "
            + ", ".join(f"{still.steps[a]} to {still.steps[b]}" for a, b in plateaus[:4]),
            f"meanwhile {still.pulse.tag}",
        ),
        fix=coarse.fix if coarse else _fixes.updates([layer for layer, _ in found]),
        layers=tuple(names),
        step=int(still.steps[plateaus[0][0]]),
        confidence=Confidence.CONFIRMED if still.pulse.by_weights else Confidence.LIKELY,
    )


def _alternates(still: Stillness, limits: Mapping[str, float]) -> bool:
    plateaus = still.plateaus(int(limits["intervals"]))
    if len(plateaus) < limits["plateaus"]:
        return False
    moving = [stop - start for start, stop, moved in trajectory.segments(still.moved) if moved]
    return len(moving) >= 2 and (still.pulse.by_weights or max(moving) > 1)


def _left_out(
    subject: Subject, layer: BatchNormLayer, steps: IntArray, rests: list[tuple[int, int]]
) -> bool:
    """Returns whether other layers are updated each time that a layer rests."""
    others = [other for other in subject.layers if other is not layer and other.finite]
    moves = [change_steps(other.finite[0][1]) for other in others]
    return all(
        any(((steps[start] < each) & (each <= steps[stop])).any() for each in moves)
        for start, stop in rests
    )


RULE = Rule(
    "BN104",
    "intermittent-updates",
    Severity.WARNING,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.STALE, as_info=True),
    explained_by=WIRING,
    covers=("BN205",),
)
