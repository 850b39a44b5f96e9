"""Noise of statistics that are warm: how large it is, and what momentum it betrays."""

import numpy as np

from bn_tb.layers import trajectory
from bn_tb.runs.series import FloatArray, HistogramSeries, IntArray

FEWEST = 24
"""Points needed; the standard error of a correlation is 1 / sqrt(points)."""

_LARGEST = 0.4
"""Share of one squared step; the largest of 24 normal ones has 0.21, and 0.4 once in 100 times."""

_MOVING = 0.9
"""Share of points that differ from the one before; all do while a warm average is updated."""

_CURVES = 5  # of seven; inconsistent ones are no autoregressive noise
_DIFFERENCE = np.sqrt(2 / 3)  # x - (a + b) / 2 of three independent values has variance 3/2
_MAD = 1.4826  # median absolute deviation to standard deviation, normal distribution


def jitter(values: FloatArray) -> float:
    """Returns the standard deviation of noise around a smooth curve, robust against jumps.

    Args:
      values: A curve, float64 `[T]`, T >= 3.
    """
    bend = values[1:-1] - (values[:-2] + values[2:]) / 2
    return float(_MAD * _DIFFERENCE * np.median(np.abs(bend)))


def jitter_bound(values: FloatArray) -> float:
    """Returns an upper bound of `jitter` at a tenth of its cost: a median is at most twice a mean.

    Args:
      values: A curve, float64 `[T]`, T >= 3.
    """
    bend = values[1:-1] - (values[:-2] + values[2:]) / 2
    return float(2 * _MAD * _DIFFERENCE * np.abs(bend).mean())


def without_line(steps: IntArray, values: FloatArray) -> FloatArray:
    """Returns a curve less the straight line that fits it best, float64 `[T]`.

    Args:
      steps: int64 `[T]`, T >= 2.
      values: float64 `[T]`.
    """
    time = (steps - steps[0]).astype(np.float64)
    time -= time.mean()
    rest: FloatArray = values - values.mean()
    rest -= time * float(time @ rest) / float(time @ time)
    return rest


def crossings(values: FloatArray, band: float) -> int:
    """Returns how often a curve passes from above `band` to below -`band` or back.

    Args:
      values: float64 `[T]`.
      band: What lies between -band and band counts for neither side.
    """
    sides = np.sign(values[np.abs(values) > band])
    return int(np.count_nonzero(np.diff(sides)))


def momenta_of(mean: HistogramSeries, variance: HistogramSeries) -> list[float]:
    """Returns the momentum per point that the noise of warm statistics shows, once a curve.

    Nothing is returned unless most of the seven curves of a layer look like such noise.

    The average of independent batches is an autoregressive process: its values k points apart
    correlate by m**k. With D_k, the mean square of differences k points apart, m = D_2 / D_1 - 1
    and 1 + m + m**2 = D_3 / D_1, whatever the size of the noise. A slow drift only raises the
    estimate. Two kinds of batches in turns would show a negative m, and the two equations disagree.

    Args:
      mean: Moving mean at consecutive updates.
      variance: Moving variance at the same steps.
    """
    if mean.steps.size < FEWEST:
        return []
    with np.errstate(invalid="ignore", divide="ignore"):
        curves = [
            mean.mean, mean.minimum, mean.maximum, trajectory.rms(mean),
            np.log(variance.mean), np.log(variance.minimum), np.log(variance.maximum),
        ]  # fmt: skip
    found = [one for curve in curves if (one := _correlation(curve)) is not None]
    return found if len(found) >= _CURVES else []


def _correlation(curve: FloatArray) -> float | None:
    steps = (curve[1:] - curve[:-1]) ** 2
    # A plateau, or one jump, is no noise that would correlate.
    if not steps.max() <= _LARGEST * steps.sum() or np.mean(steps > 0) < _MOVING:
        return None
    squares = [float(np.mean((curve[k:] - curve[:-k]) ** 2)) for k in (1, 2, 3)]
    if not np.isfinite(squares).all() or squares[0] <= 0:
        return None
    first, second = squares[1] / squares[0] - 1, squares[2] / squares[0]
    consistent = abs(second - (1 + first + first**2)) < 0.35
    return first if consistent and first > -0.25 else None
