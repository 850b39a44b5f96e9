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

- one poisoned batch: it falls again over the next two points, and by a factor of more than 1.4;
- at the end: one of the last two points jumps by more than `growth` = 100, and nothing can be seen
  to fall: likely. Less may be statistics that lagged and were estimated anew;
- without bound: the jump is more than `bound` = 10^6, whatever follows; or over five or more rising
  points of the second half v grows by more than `growth` = 100; or v ends more than `bound` times
  above its least value before.

The first update of statistics that stood still is no jump. A new level that stays (other data from
some step on) is none of them.

## Example
    moving_variance  mean 1.3 at step 400, 8.1e4 at step 401, falling by 10 % a step since

## When it is wrong
A change of the data or a learning rate that is raised by orders of magnitude in mid-run.

## How to fix it
Growth: lower the learning rate, clip gradients. A poisoned batch: find the sample (the message
names the step), clip or skip it. A pass in training mode that is no training does it as well: a
warm-up with uninitialised or random input, a dummy batch for shapes: call it in evaluation mode.
Then let ln(20) / -ln(m) updates pass, or re-estimate the statistics.

## References
- https://github.com/tensorflow/tensorflow/issues/44371
- https://github.com/keras-team/keras/issues/12400
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence import noise
from bn_tb.evidence.counting import since_reset
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict
from bn_tb.runs.series import FloatArray, HistogramSeries
from bn_tb.runs.tags import Role

LIMITS = {
    "growth": Limit(100, "ratio within a doubling of the updates", "at most 2 from any start"),
    "jump": Limit(10, "ratio between two points", "at most 2 from any start within a doubling"),
    "deviations": Limit(6, "standard deviations of the noise of log v", "failure catalogue F16"),
    "bound": Limit(1e6, "ratio", "no data set has variances that far apart in one channel"),
}
_RISING = 5  # points; fewer may be a step to other data
_LAST = 2  # points at the end, of which nobody can say that what follows falls

FIX = (
    "If the variance grows on: lower the learning rate or clip gradients, and go back to a "
    "checkpoint before the growth. If one batch did it: find the sample at the step named, clip or "
    "skip it. A pass in training mode that is no training does the same (a warm-up with random or "
    "uninitialised input before an evaluation): call model.eval() before it. Then re-estimate the "
    "statistics, or let the average forget it (ln 20 / -ln momentum updates)."
)

POISONED = "was poisoned by one batch that is orders of magnitude larger"
AT_THE_END = "jumps by orders of magnitude at the end: one batch poisoned it, or it explodes"
UNBOUND = "explodes: it grows by orders of magnitude and does not stop"


@dataclasses.dataclass(frozen=True)
class _Jump:
    """What one layer shows: the sentence about it, the points before and after, and how sure."""

    kind: str
    before: int
    after: int
    again: int = 0
    confidence: Confidence = Confidence.CONFIRMED


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for each kind of growth."""
    kinds: dict[str, list[tuple[BatchNormLayer, _Jump]]] = {}
    for layer in map(since_reset, subject.layers):
        found = _explosion(layer, limits)
        if found:
            kinds.setdefault(found.kind, []).append((layer, found))
    for kind, hits in kinds.items():
        names = [layer.name for layer, _ in hits]
        yield Evidence(
            message=f"The moving variance of {layers_in_words(names)} {kind}.",
            proof=tuple(f"{layer.name}: {_line(layer, found)}" for layer, found in hits[:3]),
            fix=FIX,
            layers=tuple(names),
            step=min(_step(layer, found) for layer, found in hits),
            confidence=max(found.confidence for _, found in hits),
        )


def _explosion(layer: BatchNormLayer, limits: Mapping[str, float]) -> _Jump | None:
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion is not Motion.MOVING or variance.steps.size < _RISING:
        return None
    mean = variance.mean
    if not mean.max() > min(limits["jump"], limits["growth"]) * mean.min() > 0:
        return None
    level = np.log(mean)
    jumps = [_jump(level, at, limits) for at in _jumps(variance, level, limits)]
    told = [jump for jump in jumps if jump is not None]
    if told:
        worst = max(told, key=lambda jump: level[jump.after] - level[jump.before])
        return dataclasses.replace(worst, again=len(told) - 1)
    grown = _growth(variance, level, limits["growth"])
    least = int(level.argmin())
    if grown is None and level[-1] - level[least] > np.log(limits["bound"]) and least >= 2:
        grown = least, level.size - 1
    return _Jump(UNBOUND, *grown) if grown else None


def _jumps(
    variance: HistogramSeries, level: FloatArray, limits: Mapping[str, float]
) -> Iterator[int]:
    """Yields the points that lie further above the one before than noise and approach explain."""
    change, distance = np.diff(level), variance.steps - variance.steps[0]
    far = max(np.log(limits["jump"]), limits["deviations"] * noise.jitter(level))
    for at in (np.flatnonzero(change > far) + 1).tolist():
        begun = (level[:at] != level[0]).any()  # or this is the first update, whenever it came
        if at >= 2 and distance[at] <= 2 * distance[at - 1] and begun:
            yield at


def _jump(level: FloatArray, at: int, limits: Mapping[str, float]) -> _Jump | None:
    """Returns what a jump to a point is, or None for a new level that stays."""
    if level[at] - level[at - 1] > np.log(limits["bound"]) and at < level.size - _LAST:
        kind = POISONED if level[at + 1] < level[at] else UNBOUND
        return _Jump(kind, at - 1, at)
    if at >= level.size - _LAST:
        far = level[at] - level[at - 1] > np.log(limits["growth"])
        return _Jump(AT_THE_END, at - 1, at, confidence=Confidence.LIKELY) if far else None
    falls = level[at] > level[at + 1] > level[at + 2]
    forgotten = level[at:].min() < level[at] - np.log(2) / 2
    return _Jump(POISONED, at - 1, at) if falls and forgotten else None


def _growth(variance: HistogramSeries, level: FloatArray, limit: float) -> tuple[int, int] | None:
    """Returns first and last point of a rise that no approach to the data can be."""
    distance = variance.steps - variance.steps[0]
    last = level.size - 1
    first = int(np.searchsorted(distance, distance[last] / 2))
    rising = np.diff(level[first:]) > 0
    if rising.size < _RISING - 1 or rising.mean() < 0.9:
        return None
    return (first, last) if level[last] - level[first] > np.log(limit) else None


def _step(layer: BatchNormLayer, jump: _Jump) -> int:
    return int(dict(layer.finite)[Role.MOVING_VARIANCE].steps[jump.after])


def _line(layer: BatchNormLayer, jump: _Jump) -> str:
    variance = dict(layer.finite)[Role.MOVING_VARIANCE]
    times = "once" if jump.again == 1 else f"{jump.again} times"
    return (
        f"mean over channels {variance.mean[jump.before]:.3g} at step "
        f"{variance.steps[jump.before]}, {variance.mean[jump.after]:.3g} at step "
        f"{variance.steps[jump.after]}{f', and {times} more' if jump.again else ''}"
    )


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
