"""What the curves alone say of the initial value's share, without knowing momentum or updates.

All in units of logged steps, for layers that began at mean 0 and variance 1 and share one momentum;
d is the decay per step, so that the share after t steps is d**t, and T is the last step.

The floor. Batch variances are not negative, so every channel's moving variance is at least d**t. A
variance v at t steps gives d <= v**(1/t), so the share at T is at most v**(T/t), and the smallest
such bound over points, channels and layers holds whatever the data did.

Clear layers. If batch statistics did not drift, the root mean square of the moving mean, and mean
and maximum of the moving variance less 1, would follow c (1 - d**t) with one d for all of them.
Each is fitted by least squares over a grid of d. Batch statistics do drift while weights move, but
each curve in its own way; a layer is clear if the joint fit is close and the three agree, more so
where the floor says nothing. A healthy run leaves its initial values within the first points, which
no later drift imitates.

Straight floors. If the data's variance is small in some channel, the smallest variance is d**t
itself: its logarithm is proportional to t from the first to the last point. An average that has
caught up with its data bends.

Risen means. With the share s left at T, the means of that model have reached (1 - s**(t/T)) / (1 -
s) of their last size at t. Where they were above that of s = 1 % already, next to nothing is left;
where they were not, it may be that they drifted, and nobody can say.

Slow starts. Where no channel of a layer is more than 5 % away from 0 and 1 at the first point, t1,
and layers go ten times as far later, a tenth of their way is gone at t1 at most: at least
0.9**(T/t1) is left. Batches of a network do not have a variance of 1 in all channels by themselves.
The estimate is the least of what the means say, which drift alone makes larger.

The share is estimated if some layer is clear or has a straight floor, or all start slowly, and no
clear layer says that nothing is left. Calibrated on synthetic averages
(tests/evidence/test_curve.py): 1 to 4 layers of 4 to 90 channels, batch variances from 0.06 to 10
with a spread of a factor e between channels, batch
noise of 0.3 to 20 %, 30 to 500 updates logged 5 to 100 times, batch statistics that stay, relax,
grow or walk randomly by factors of 1.03 to e**3. Of 1666 runs below 2 % share none was estimated
above 10 %. Of 834 runs above 12 % share 88 % were found, 94 % where the drift was below a factor of
2; half of the estimates were within 0.02 of the truth, nine of ten within 0.06. Everything else is
unknown.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from bn_tb.layers import trajectory
from bn_tb.runs.series import FloatArray, HistogramSeries, IntArray, distinct

_EXPONENTS = np.geomspace(0.02, 40, 80)  # -ln share: from 98 % to nothing
_POINTS = 64  # of a long series that are fitted
_SEEN = 0.1  # smallest share that is claimed; twice the limit of BN201
_CLOSE = 0.07, 0.04  # root mean square residual relative to the curve; where the floor is blind
_AGREE = 0.15, 0.12  # range of the shares of one layer's curves; where the floor is blind
_BLIND = 0.98  # floor that says nothing: no channel varies less than its initial value
_MOSTLY = 0.37  # 1 / e, one time constant: curves that all say more than this agree on "mostly"
_STRAIGHT = 0.15  # range of the floor's slope from the origin, relative to its median
_MOVED = 0.9  # floor at the last point; less movement than that may be noise
_FEWEST = 4  # points; an exponential has two parameters
_GONE = 0.01  # share; a fifth of what is trusted, for batches that are not alike
_NEAR = 0.05  # from 0 and 1 in every channel; variances of real channels differ by more
_FAR = 10  # times as far from there at the last point
_CHANNELS = 8  # of all layers, at least; so many are not all at 1 by chance
_AVERAGED = 0.02  # of the elapsed steps; single batches make the first means larger


@dataclasses.dataclass(frozen=True)
class Began:
    """The statistics of one layer that began at mean 0 and variance 1.

    Attributes:
      mean: Moving mean.
      variance: Moving variance, at the same steps.
      start: Step at which they held these values, before the last point.
    """

    mean: HistogramSeries
    variance: HistogramSeries
    start: float


@dataclasses.dataclass(frozen=True)
class Share:
    """What curves say of the initial value's share at the last step.

    Attributes:
      bound: Upper bound from the floor, in [0, 1].
      estimate: Estimate from the shape, in [0, 1], or None where the curves do not tell.
      risen: Whether the means were so large so early that next to nothing can be left.
    """

    bound: float
    estimate: float | None
    risen: bool = False


def share_of(layers: Sequence[Began]) -> Share:
    """Returns what the curves of layers with one momentum say."""
    bound = min((_bound(layer) for layer in layers), default=1.0)
    if bound <= _SEEN:
        return Share(bound, None)
    risen = 2 * sum(map(_risen, layers)) > len(layers)
    long = [layer for layer in layers if layer.mean.steps.size >= _FEWEST]
    clear = [share for layer in long if (share := _clear_share(layer, bound)) is not None]
    if clear and min(clear) <= _SEEN:
        return Share(bound, None, risen)
    if clear:
        return Share(bound, min(float(np.median(clear)), bound))
    if any(map(_straight, long)):
        return Share(bound, bound, risen)
    slow = _slow_start(long)
    return Share(bound, None if slow is None else min(slow, bound), risen)


def _elapsed(layer: Began) -> FloatArray:
    return layer.variance.steps.astype(np.float64) - layer.start


def _slopes(layer: Began, since: float) -> FloatArray:
    """Returns ln(smallest variance) per step at the points later than `since` steps."""
    elapsed = _elapsed(layer)
    after = elapsed > since
    lowest = np.clip(layer.variance.minimum[after], 1e-300, None)
    slopes: FloatArray = np.log(lowest) / elapsed[after]
    return slopes


def _bound(layer: Began) -> float:
    slope = float(_slopes(layer, 0.0).min(initial=0.0))
    return math.exp(min(slope, 0.0) * float(_elapsed(layer)[-1]))


def _risen(layer: Began) -> bool:
    size, part = trajectory.rms(layer.mean), _elapsed(layer) / float(_elapsed(layer)[-1])
    reached = (1 - _GONE**part) / (1 - _GONE) * size[-1]
    return bool(((size > reached) & (part >= _AVERAGED) & (part < 1)).any())


def _straight(layer: Began) -> bool:
    slopes = _slopes(layer, float(_elapsed(layer)[-1]) / 10)
    if slopes.size < _FEWEST or layer.variance.minimum[-1] > _MOVED:
        return False
    return bool(np.ptp(slopes) < _STRAIGHT * abs(np.median(slopes)))


def _slow_start(layers: Sequence[Began]) -> float | None:
    """Returns the share of layers that had hardly left their initial values at the first point."""
    if not layers or sum(float(layer.mean.count[-1]) for layer in layers) < _CHANNELS:
        return None
    least, near, far = 1.0, 0.0, 0.0
    for layer in layers:
        elapsed = _elapsed(layer)
        if not elapsed[-1] > 0:  # steps beyond 2**53
            return None
        first = int((elapsed > 0).argmax())
        away = np.abs([layer.variance.minimum - 1, layer.variance.maximum - 1]).max(0)
        away = np.maximum(away, trajectory.rms(layer.mean))
        near, far = max(near, float(away[first])), max(far, float(away[-1]))
        least = min(least, float((1 - 1 / _FAR) ** (elapsed[-1] / elapsed[first])))
    if near > _NEAR or far < _FAR * max(near, _NEAR / 2) or least <= _SEEN:
        return None
    return max(least, min(map(_share_of_mean, layers)))


def _share_of_mean(layer: Began) -> float:
    """Returns the share that fits the size of a moving mean best."""
    elapsed = _elapsed(layer)
    at = _places(elapsed.size)
    shapes = 1 - np.exp(-_EXPONENTS[:, None] * elapsed[at] / elapsed[-1])
    explained = (shapes @ trajectory.rms(layer.mean)[at]) ** 2 / (shapes**2).sum(1)
    return float(np.exp(-_EXPONENTS[explained.argmax()]))


@functools.lru_cache(maxsize=64)  # the layers of a run mostly have as many points
def _places(size: int) -> IntArray:
    """Returns which of so many points are looked at, spread evenly."""
    places: IntArray = distinct(np.linspace(0, size - 1, _POINTS).round().astype(np.int64))
    return places


def _clear_share(layer: Began, bound: float) -> float | None:
    """Returns the share that the curves of a layer agree on, or None if they do not."""
    elapsed = _elapsed(layer)
    at = _places(elapsed.size)
    curves = np.stack(
        [
            trajectory.rms(layer.mean)[at],
            layer.variance.mean[at] - 1,
            layer.variance.maximum[at] - 1,
        ]
    )
    energy = (curves**2).sum(1)
    if not (energy > 0).all():
        return None
    shapes = 1 - np.exp(-_EXPONENTS[:, None] * elapsed[at] / elapsed[-1])
    explained = (curves @ shapes.T) ** 2 / (shapes**2).sum(1)
    residuals = np.maximum(1 - explained / energy[:, None], 0)
    shares = np.exp(-_EXPONENTS[residuals.argmin(1)])
    joint = residuals.mean(0)
    blind = int(bound > _BLIND)
    if joint.min() > _CLOSE[blind] ** 2:
        return None
    if np.ptp(shares) > _AGREE[blind]:
        return float(shares.min()) if shares.min() > _MOSTLY else None
    return float(np.exp(-_EXPONENTS[joint.argmin()]))
