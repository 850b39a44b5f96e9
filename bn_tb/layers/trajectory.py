"""What the curve of a statistic shows: pure functions of arrays that several rules share.

Shapes: T points of a series, whose steps strictly increase once `as_shown` was applied.
"""

import dataclasses
import itertools
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bn_tb.runs.series import FloatArray, HistogramSeries, IntArray, ScalarSeries

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
    with np.errstate(invalid="ignore", over="ignore"):
        everything = series.minimum.sum() + series.maximum.sum() + series.total.sum()
        if np.isfinite(everything) and (series.count == series.count[:1]).all():
            return np.zeros(series.steps.size, np.bool_)
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


def segments(flags: BoolArray) -> list[tuple[int, int, bool]]:
    """Returns the runs of equal flags as (start, stop, flag), in order."""
    if not flags.size:
        return []
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), flags.size]
    return [(start, stop, bool(flags[start])) for start, stop in itertools.pairwise(edges)]


def last_move(series: HistogramSeries) -> float:
    """Returns the size of the last change relative to the values, 0 if nothing ever changed.

    An average of batches that are all alike ends at a fixed point: its changes shrink to the
    rounding of float32, about 1e-7, before they stop.
    """
    at = np.flatnonzero(changes(series))
    if not at.size:
        return 0.0
    before, after = int(at[-1]), int(at[-1]) + 1
    scale = max(abs(series.minimum[after]), abs(series.maximum[after]), np.finfo(float).tiny)
    size = max(
        abs(series.minimum[after] - series.minimum[before]),
        abs(series.maximum[after] - series.maximum[before]),
        abs(series.mean[after] - series.mean[before]),
    )
    return float(size / scale)
