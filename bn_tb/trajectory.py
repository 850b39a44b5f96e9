"""What the curve of a statistic shows: pure functions of arrays that several rules share.

Shapes: T points of a series, whose steps strictly increase once `as_shown` was applied.
"""

import dataclasses
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bn_tb.series import FloatArray, HistogramSeries, IntArray, ScalarSeries

BoolArray = npt.NDArray[np.bool_]
AnySeries = TypeVar("AnySeries", HistogramSeries, ScalarSeries)


def take(series: AnySeries, keep: BoolArray | IntArray) -> AnySeries:
    """Returns the points of a series that `keep`, a mask or indices, selects."""
    columns: dict[str, Any] = {
        name: value[keep] for name, value in vars(series).items() if isinstance(value, np.ndarray)
    }
    return dataclasses.replace(series, **columns)


def as_shown(series: AnySeries) -> AnySeries:
    """Returns a series whose steps strictly increase: the latest history that was written.

    A point is dropped when a later one was written at its step or before it: a restart overwrites
    what it repeats, as in TensorBoard, and of several points at one step the last one counts.
    """
    steps = series.steps
    if steps.size < 2 or bool((steps[1:] > steps[:-1]).all()):
        return series
    following = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.iinfo(np.int64).max)
    return take(series, steps < following)


def non_finite(series: HistogramSeries) -> BoolArray:
    """Returns where a histogram holds NaN or infinity, bool `[T]`.

    TF1 and PyTorch keep the count and show NaN or infinity in minimum, maximum or total. TF2 writes
    NaN edges and counts of 0, or leaves infinite values out of the counts.
    """
    with np.errstate(invalid="ignore"):
        filled = (series.count > 0) & ~np.isfinite(series.minimum + series.maximum)
        lost = series.count < np.maximum.accumulate(series.count)
    infinite: BoolArray = filled | ~np.isfinite(series.total) | lost
    return infinite


def finite_part(series: HistogramSeries) -> HistogramSeries:
    """Returns the points before the first one that holds NaN or infinity."""
    bad = non_finite(series)
    return take(series, np.arange(bad.size) < bad.argmax()) if bad.any() else series


def changes(series: HistogramSeries) -> BoolArray:
    """Returns whether each point differs from the one before it, bool `[T - 1]`, bit by bit."""
    differs: BoolArray = series.identity[1:] != series.identity[:-1]
    return differs


def holds(series: HistogramSeries, value: float) -> BoolArray:
    """Returns where every channel is exactly `value`, bool `[T]`."""
    equal: BoolArray = (series.minimum == value) & (series.maximum == value)
    return equal


def last_change(series: HistogramSeries) -> int | None:
    """Returns the last step at which the series differed from the point before, or None."""
    at = np.flatnonzero(changes(series))
    return int(series.steps[at[-1] + 1]) if at.size else None


def rms(series: HistogramSeries) -> FloatArray:
    """Returns the root mean square over the channels, float64 `[T]`; NaN where the count is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root: FloatArray = np.sqrt(series.sum_squares / series.count)
    return root
