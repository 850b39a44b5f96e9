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
distance:

- growth: over five or more rising points v grows by more than `growth` = 100;
- one poisoned batch: v jumps by more than `jump` = 10 from one point to the next, `deviations` = 6
  times further than its usual changes (median absolute deviation of log v), and falls again.

A new level that stays (other data from some step on) is neither.

## Example
    moving_variance  mean 1.3 at step 400, 8.1e4 at step 401, falling by 10 % a step since

## When it is wrong
A change of the data or a learning rate that is raised by orders of magnitude in mid-run.

## How to fix it
Growth: lower the learning rate, clip gradients. A poisoned batch: find the sample (the message
names the step), clip or skip it, and let ln(20) / -ln(m) updates pass, or reset the statistics.

## References
- https://github.com/tensorflow/tensorflow/issues/44371
- https://github.com/keras-team/keras/issues/12400
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict
from bn_tb.runs.series import FloatArray, HistogramSeries
from bn_tb.runs.tags import Role

LIMITS = {
    "growth": Limit(100, "ratio within a doubling of the updates", "at most 2 from any start"),
    "jump": Limit(10, "ratio between two points", "at most 2 from any start within a doubling"),
    "deviations": Limit(6, "median absolute deviations of log v", "failure catalogue F16"),
}
_RISING = 5  # points; fewer may be a step to other data
FIX = (
    "If the variance grows on: lower the learning rate or clip gradients, and go back to a "
    "checkpoint before the growth. If one batch did it: find the sample at the step named, clip or "
    "skip it, and let the average forget it (ln 20 / -ln momentum updates) or reset the statistics."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for growth and one for poisoned batches."""
    kinds: dict[str, list[tuple[str, int, str]]] = {}
    for layer in subject.layers:
        found = _explosion(layer, limits)
        if found:
            kind, step, line = found
            kinds.setdefault(kind, []).append((layer.name, step, line))
    for kind, hits in kinds.items():
        names = [name for name, _, _ in hits]
        yield Evidence(
            message=f"The moving variance of {layers_in_words(names)} {kind}.",
            proof=tuple(f"{name}: {line}" for name, _, line in hits[:3]),
            fix=FIX,
            layers=tuple(names),
            step=min(step for _, step, _ in hits),
        )


def _explosion(layer: BatchNormLayer, limits: Mapping[str, float]) -> tuple[str, int, str] | None:
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion is not Motion.MOVING or variance.steps.size < _RISING:
        return None
    mean = variance.mean
    if not mean.max() > min(limits["jump"], limits["growth"]) * mean.min() > 0:
        return None
    level = np.log(mean)
    poisoned = _poisoned(variance, level, limits)
    if poisoned is not None:
        step, line = int(variance.steps[poisoned]), _line(variance, poisoned - 1, poisoned)
        return "was poisoned by one batch that is orders of magnitude larger", step, line
    grown = _growth(variance, level, limits["growth"])
    if grown is not None:
        step, line = int(variance.steps[grown[0]]), _line(variance, *grown)
        return "explodes: it grows by orders of magnitude and does not stop", step, line
    return None


def _growth(variance: HistogramSeries, level: FloatArray, limit: float) -> tuple[int, int] | None:
    """Returns first and last point of a rise that no approach to the data can be."""
    distance = variance.steps - variance.steps[0]
    last = level.size - 1
    first = int(np.searchsorted(distance, distance[last] / 2))
    rising = np.diff(level[first:]) > 0
    if rising.size < _RISING - 1 or rising.mean() < 0.9:
        return None
    return (first, last) if level[last] - level[first] > np.log(limit) else None


def _poisoned(
    variance: HistogramSeries, level: FloatArray, limits: Mapping[str, float]
) -> int | None:
    """Returns the point at which one batch entered the average, or None."""
    change = np.diff(level)
    at = int(change.argmax()) + 1
    distance = variance.steps - variance.steps[0]
    if at < 3 or at + 2 >= level.size or distance[at] > 2 * distance[at - 1]:
        return None
    usual = np.median(np.abs(change - np.median(change)))
    if change[at - 1] < max(np.log(limits["jump"]), limits["deviations"] * usual):
        return None
    after = level[at:]
    falls = np.diff(after) < 0
    return at if falls[:2].all() and after[-1] < after[0] - np.log(2) / 2 else None


def _line(variance: HistogramSeries, before: int, after: int) -> str:
    return (
        f"mean over channels {variance.mean[before]:.3g} at step {variance.steps[before]}, "
        f"{variance.mean[after]:.3g} at step {variance.steps[after]}"
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
