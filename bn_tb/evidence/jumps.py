"""Jumps of moving statistics that no approach to the data explains, and what becomes of them.

A batch that is far too large is forgotten by a factor of the momentum per update. As batch
variances are not negative, an average that holds v at one point holds at least m**n v after n
updates. So a point j later bounds the momentum, m**n <= v_j / v, and with it what is left of the
batch at every point, whatever the data did and however sparse the log is.
"""

import dataclasses
import enum
from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence import noise
from bn_tb.evidence.lag import TRUSTED
from bn_tb.runs.series import MEDIAN, FloatArray, HistogramSeries
from bn_tb.runs.tags import Role

_FALLEN = np.log(2) / 2  # a factor of 1.4; noise about a new level falls by less
_TOGETHER = 3  # points; more bad batches in a row are other data
_LAST = 2  # points at the end, of which nobody can say that what follows falls
_STRAIGHT = 4  # intervals behind a first batch that was bad, ...
_ALIKE = 0.2  # ... whose slopes of ln v per step are alike: range, relative to their median
_OWN_LEVEL = 10  # ratio to the variance before the batch; more is no way back


class Kind(enum.Enum):
    """What a jump is."""

    POISONED = "it falls again"
    AT_THE_END = "nobody can say yet"
    STAYS = "it does not fall"


@dataclasses.dataclass(frozen=True)
class Jump:
    """A jump from one point of a moving variance to the next.

    Attributes:
      kind: What it is.
      before: Index of the point before it.
      after: Index of the point that it leads to.
      certain: Whether what follows proves the kind.
      again: How many more jumps the series has.
      since: Index of the point from which on it is forgotten, or None if it is not.
      role: The statistic that jumps.
    """

    kind: Kind
    before: int
    after: int
    certain: bool = True
    again: int = 0
    since: int | None = None
    role: Role = Role.MOVING_VARIANCE


def largest_jump(variance: HistogramSeries, limits: Mapping[str, float]) -> Jump | None:
    """Returns the largest jump, and from where on the last one is forgotten; None without any.

    Args:
      variance: A moving variance, finite, whose mean over channels is above 0.
      limits: `jump`, `growth`, `deviations` and `bound` of the rule exploding-variance.
    """
    level = np.log(variance.mean)
    told = [jump for at in _far(variance, level, limits) if (jump := _jump(level, at, limits))]
    if not told:
        return _first_batch(variance, level, limits)
    largest = max(told, key=lambda jump: level[jump.after] - level[jump.before])
    lowest = min((jump.before for jump in told), key=lambda at: float(level[at]))
    since = _forgotten_from(variance, lowest, _peak(variance.maximum, told[-1].after))
    kind = largest.kind if since is None else Kind.POISONED
    return dataclasses.replace(largest, kind=kind, again=len(told) - 1, since=since)


def mean_jump(
    mean: HistogramSeries, variance: HistogramSeries, limits: Mapping[str, float]
) -> Jump | None:
    """Returns the first jump of a moving mean by many standard deviations that turns back.

    A batch that is far off as a whole has the variance of any other, and poisons the mean alone. On
    the way to the data a mean does not turn back, and towards other data it goes on.

    Args:
      mean: A moving mean, finite.
      variance: The moving variance of its layer.
      limits: `growth`, standard deviations of the channel that varied most so far, and
        `deviations`.
    """
    if not np.array_equal(mean.steps, variance.steps) or not (variance.maximum > 0).all():
        return None
    sigma = np.sqrt(np.maximum.accumulate(variance.maximum))  # of a collapsed one that of before
    distance = mean.steps - mean.steps[0]
    for curve in (mean.maximum, mean.minimum):
        usual = limits["deviations"] * noise.jitter(curve)
        far = np.maximum(limits["growth"] * sigma[:-1], usual)
        for at in (np.flatnonzero(np.abs(np.diff(curve)) > far) + 1).tolist():
            off = np.abs(curve[at:] - curve[at - 1])
            if at < 2 or distance[at] > 2 * distance[at - 1] or (curve[:at] == curve[0]).all():
                continue
            if off.size <= _LAST:
                return Jump(Kind.AT_THE_END, at - 1, at, certain=False, role=Role.MOVING_MEAN)
            if off[0] > off[1] > off[2] and off.min() * np.exp(_FALLEN) < off[0]:
                elapsed = (mean.steps[at:] - mean.steps[at]).astype(np.float64)
                left = off[0] * (off[1] / off[0]) ** (elapsed / elapsed[1])  # the mean may drift
                back = np.flatnonzero(left <= TRUSTED * sigma[at:])
                since = at + int(back[0]) if back.size else None
                return Jump(Kind.POISONED, at - 1, at, since=since, role=Role.MOVING_MEAN)
    return None


def _far(
    variance: HistogramSeries, level: FloatArray, limits: Mapping[str, float]
) -> Iterator[int]:
    """Yields the points that lie further above the one before than noise and approach explain."""
    change, distance = np.diff(level), variance.steps - variance.steps[0]
    far = max(np.log(limits["jump"]), limits["deviations"] * noise.jitter(level))
    for at in (np.flatnonzero(change > far) + 1).tolist():
        begun = (level[:at] != level[0]).any()  # or this is the first update, whenever it came
        if at >= 2 and distance[at] <= 2 * distance[at - 1] and begun:
            yield at


def _jump(level: FloatArray, at: int, limits: Mapping[str, float]) -> Jump | None:
    """Returns what a jump to a point is, or None for a new level that stays."""
    size, last, peak = level[at] - level[at - 1], level.size - 1, _peak(level, at)
    far = size > np.log(limits["growth"])
    if at > last - _LAST:
        return Jump(Kind.AT_THE_END, at - 1, at, certain=False) if far else None
    after = np.diff(level[peak:]) < 0
    falls_on, fallen = bool(after.size and after.all()), level[peak] - level[peak:].min()
    if size > np.log(limits["bound"]):
        return Jump(Kind.POISONED if falls_on or fallen > _FALLEN else Kind.STAYS, at - 1, at)
    if fallen > (_FALLEN if peak == at else np.log(limits["jump"])):
        return Jump(Kind.POISONED, at - 1, at) if after[:2].all() else None
    return Jump(Kind.POISONED, at - 1, at, certain=False) if far and falls_on else None


def _first_batch(
    variance: HistogramSeries, level: FloatArray, limits: Mapping[str, float]
) -> Jump | None:
    """Returns the jump from the initial value, if a bad batch made it and is not forgotten yet.

    Other data than the initial value stay where they are, or are approached; of a batch that does
    not come again the average falls by one factor a step, which shows as long as it is far above.
    """
    at = int((level != level[0]).argmax())
    peak = _peak(level, at)
    behind = slice(peak, peak + _STRAIGHT + 1)
    slopes = np.diff(level[behind]) / np.diff(variance.steps[behind])
    if at == 0 or variance.minimum[0] != variance.maximum[0] or slopes.size < _STRAIGHT:
        return None
    straight = bool((slopes < 0).all() and np.ptp(slopes) < _ALIKE * -np.median(slopes))
    far = level[peak] - level[0] > np.log(limits["growth"])
    falls = level[peak] - level[peak:].min() > np.log(limits["jump"])
    if not (straight and far and falls) or _forgotten_from(variance, None, peak) is not None:
        return None
    return Jump(Kind.POISONED, at - 1, at)


def _peak(level: FloatArray, at: int) -> int:
    """Returns the highest of the points at which bad batches that follow each other may end."""
    return at + int(level[at : at + _TOGETHER].argmax())


def _forgotten_from(variance: HistogramSeries, before: int | None, peak: int) -> int | None:
    """Returns the first point at which a batch is forgotten, or None if it is not.

    It is forgotten where at most `TRUSTED` of the median channel's variance can be left of it, and
    the variance is back at its level before the batch, where there was one.
    """
    elapsed = (variance.steps[peak + 1 :] - variance.steps[peak]).astype(np.float64)
    if not elapsed.size or not variance.maximum[peak] > 0:
        return None
    with np.errstate(divide="ignore"):
        fallen = np.log(variance.maximum[peak + 1 :] / variance.maximum[peak])
        left = float((fallen / elapsed).min()) * elapsed + np.log(variance.maximum[peak])
        own = np.log(TRUSTED * variance.bands[peak + 1 :, MEDIAN].astype(np.float64))
    level = np.inf if before is None else _OWN_LEVEL * variance.mean[before]
    back = variance.mean[peak + 1 :] < level
    forgotten = np.flatnonzero((left <= own) & back)
    return peak + 1 + int(forgotten[0]) if forgotten.size else None
