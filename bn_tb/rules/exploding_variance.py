"""## What it does
Finds moving variances that grow without bound, and single batches that poisoned the average.

## Why is this bad?
Evaluation divides by a standard deviation that the data do not have: outputs shrink to nothing, or
the layer overflows soon. One bad batch with values a thousand times too large stays in the average
until it is forgotten by a factor of the momentum per update.

## How it is decided
Judged is the mean over channels of the moving variance v. Approaching its data from any initial
value, a moving average at most doubles while its number of updates doubles (v_2n / v_n =
1 + m^n). So counted from the first logged point, and between a point and one at up to twice its
distance, every jump from one point to the next counts that is more than `jump` = 10, and further
than `deviations` = 6 standard deviations of the log's own noise (1.48 times the median absolute
second difference of log v times sqrt(2/3)): batches of two jump by 10 now and then, and are BN204.

- one poisoned batch, or up to three in a row: it falls again over the next two points, and by a
  factor of more than 1.4 (`jump` behind several); or it jumped by more than `growth` and does
  nothing but fall up to the end: likely.
  Where a later point bounds what is left of it to 5 % of the median channel's variance, and v is
  below 10 times its level before the batch, the batch is forgotten: the layer is suspect and no
  longer broken (the bound: `bn_tb/evidence/jumps.py`);
- a poisoned mean: where v does not jump, the largest or smallest channel's mean does, by more than
  `growth` standard deviations of the channel that varied most so far and `deviations` of its own
  noise, and turns back;
- at the end: one of the last two points jumps by more than `growth` = 100, and nothing can be seen
  to fall: likely. Less may be statistics that lagged and were estimated anew;
- without bound: the jump is more than `bound` = 10^6, whatever follows; or over five or more rising
  points of the second half v grows by more than `growth` = 100; or v ends more than `bound` times
  above its least value before.

The first update of statistics that stood still is no jump, unless v grows by more than `growth` in
it, falls by one factor a step over the next four intervals (slopes within 20 %) and by more than
`jump` in all, and is not forgotten at the end: a first batch that was bad. A new level that stays
(other data from some step on) is none of them.

## Example
    moving_variance  mean 1.3 at step 400, 8.1e4 at step 401, falling by 10 % a step since

## When it is wrong
A change of the data or a learning rate that is raised by orders of magnitude in mid-run.

## How to fix it
Growth: lower the learning rate, clip gradients. A poisoned batch: find the sample (the message
names the step), clip or skip it. A pass in training mode that is no training does it as well: a
warm-up with uninitialised or random input, a dummy batch for shapes: call it in evaluation mode.
Then let ln(20 g) / -ln(m) updates pass, where g is how far v is above its level before, or
re-estimate the statistics. Of a batch that is forgotten only the evaluations between the steps
named are lost, and the batch itself may come again.

## References
- https://github.com/tensorflow/tensorflow/issues/44371
- https://github.com/keras-team/keras/issues/12400
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence.counting import since_reset
from bn_tb.evidence.jumps import Jump, Kind, largest_jump, mean_jump
from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict
from bn_tb.runs.series import HistogramSeries
from bn_tb.runs.tags import Role

LIMITS = {
    "growth": Limit(100, "ratio within a doubling of the updates", "at most 2 from any start"),
    "jump": Limit(10, "ratio between two points", "at most 2 from any start within a doubling"),
    "deviations": Limit(6, "standard deviations of the noise of log v", "failure catalogue F16"),
    "bound": Limit(1e6, "ratio", "no data set has variances that far apart in one channel"),
}
_RISING = 5  # points; fewer may be a step to other data

FIX = (
    "If the variance grows on: lower the learning rate or clip gradients, and go back to a "
    "checkpoint before the growth. If one batch did it: find the sample at the step named, clip or "
    "skip it. A pass in training mode that is no training does the same (a warm-up with random or "
    "uninitialised input before an evaluation): call model.eval() before it. Then re-estimate the "
    "statistics, or let the average forget it (by a factor of 20 in ln 20 / -ln momentum updates)."
)
FORGOTTEN_FIX = (
    "The statistics need no repair any more. Ignore evaluations, and keep no checkpoint, of the "
    "steps named. So that it does not come again: find the sample at the first of these steps, "
    "clip or skip it; call model.eval() before a pass that is no training (a warm-up with random "
    "or uninitialised input)."
)

_SENTENCES = {
    Kind.POISONED: "was poisoned by one batch that is orders of magnitude larger",
    Kind.AT_THE_END: (
        "jumps by orders of magnitude at the end: one batch poisoned it, or it explodes"
    ),
    Kind.STAYS: "explodes: it grows by orders of magnitude and does not stop",
}

_Hit = tuple[BatchNormLayer, Jump]


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for each kind of growth."""
    kinds: dict[tuple[Kind, Role, bool], list[_Hit]] = {}
    for layer in map(since_reset, subject.layers):
        found = _explosion(layer, limits) or _shift(layer, limits)
        if found:
            key = found.kind, found.role, found.since is not None
            kinds.setdefault(key, []).append((layer, found))
    for (kind, role, over), hits in kinds.items():
        names = [layer.name for layer, _ in hits]
        certain = any(found.certain for _, found in hits)
        yield Evidence(
            message=(
                f"The {role.value.replace('_', ' ')} of {layers_in_words(names)} {_SENTENCES[kind]}"
                f"{_past(hits) if over else ''}."
            ),
            proof=tuple(f"{layer.name}: {_line(layer, found)}" for layer, found in hits[:3]),
            fix=FORGOTTEN_FIX if over else FIX,
            layers=tuple(names),
            step=min(_step(layer, found.after) for layer, found in hits),
            confidence=Confidence.CONFIRMED if certain else Confidence.LIKELY,
            over=over,
        )


def _explosion(layer: BatchNormLayer, limits: Mapping[str, float]) -> Jump | None:
    """Returns the largest jump of a layer, or a growth, which no forgotten jump hides."""
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion is not Motion.MOVING or variance.steps.size < _RISING:
        return None
    mean = variance.mean
    if not mean.max() > min(limits["jump"], limits["growth"]) * mean.min() > 0:
        return None
    jump = largest_jump(variance, limits)
    if jump is not None and jump.since is None:
        return jump
    grown = _growth(variance, limits["growth"])
    least = int(mean.argmin())
    if grown is None and mean[-1] > mean[least] * limits["bound"] and least >= 2:
        grown = least, mean.size - 1
    return Jump(Kind.STAYS, *grown) if grown else jump


def _shift(layer: BatchNormLayer, limits: Mapping[str, float]) -> Jump | None:
    """Returns a jump of the moving mean alone."""
    series = dict(layer.finite)
    mean, variance = series.get(Role.MOVING_MEAN), series.get(Role.MOVING_VARIANCE)
    if mean is None or variance is None or layer.motion is not Motion.MOVING:
        return None
    return mean_jump(mean, variance, limits) if mean.steps.size >= _RISING else None


def _growth(variance: HistogramSeries, limit: float) -> tuple[int, int] | None:
    """Returns first and last point of a rise that no approach to the data can be."""
    mean, distance = variance.mean, variance.steps - variance.steps[0]
    last = mean.size - 1
    first = int(np.searchsorted(distance, distance[last] / 2))
    rising = np.diff(mean[first:]) > 0
    if rising.size < _RISING - 1 or rising.mean() < 0.9:
        return None
    return (first, last) if mean[last] > mean[first] * limit else None


def _past(hits: list[_Hit]) -> str:
    first = min(_step(layer, found.after) for layer, found in hits)
    since = max(_step(layer, found.since or 0) for layer, found in hits)
    return (
        f", and has forgotten it: evaluations between step {first} and step {since} were ruined, "
        "since then it is back at its own level"
    )


def _step(layer: BatchNormLayer, at: int) -> int:
    return int(dict(layer.finite)[Role.MOVING_VARIANCE].steps[at])


def _line(layer: BatchNormLayer, jump: Jump) -> str:
    series = dict(layer.finite)[jump.role]
    by_mean = jump.role is Role.MOVING_MEAN
    level = trajectory.rms(series) if by_mean else series.mean

    def at(point: int) -> str:
        return f"{level[point]:.3g} at step {series.steps[point]}"

    what = "root mean square over channels" if by_mean else "mean over channels"
    times = "once" if jump.again == 1 else f"{jump.again} times"
    again = f", and {times} more" if jump.again else ""
    since = "" if jump.since is None else f"; back to {at(jump.since)}"
    return f"{what} {at(jump.before)}, {at(jump.after)}{again}{since}"


RULE = Rule(
    "BN304",
    "exploding-variance",
    Severity.WARNING,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.BROKEN, as_info=True),
    covers=("BN204",),
)
