"""Series under one tag that several layers wrote, one after the other at every step."""

from typing import overload

import numpy as np

from bn_tb.layers import trajectory
from bn_tb.runs.series import HistogramSeries, IntArray


def layers_sharing(series: HistogramSeries) -> int:
    """Returns how many layers wrote one tag: 1 unless each step has several different points.

    Every step must have the same number of points in a row (a program that was stopped may have
    written fewer at the last one), and some step points that differ.
    """
    if not (series.steps[1:] == series.steps[:-1]).any():
        return 1
    sizes = _points_per_step(series)
    if sizes[0] < 2 or (sizes[:-1] != sizes[0]).any() or sizes[-1] > sizes[0]:
        return 1
    count = int(sizes[0])
    whole = series.identity[: series.identity.size // count * count].reshape(-1, count)
    return count if (whole != whole[:, :1]).any() else 1


def differ_in_channels(series: HistogramSeries, count: int) -> bool:
    """Returns whether the points of each step differ in their number of values, at all steps alike.

    Args:
      series: A series that `count` layers share.
      count: Points per step.
    """
    if series.count.size < count:
        return False
    channels = series.count[: series.count.size // count * count].reshape(-1, count)
    return bool((channels == channels[0]).all() and (channels[0] != channels[0, 0]).any())


@overload
def part(series: HistogramSeries, at: int, count: int) -> HistogramSeries: ...
@overload
def part(series: None, at: int, count: int) -> None: ...
def part(series: HistogramSeries | None, at: int, count: int) -> HistogramSeries | None:
    """Returns the points of the layer at position `at` of `count` within each step."""
    if series is None:
        return None
    return trajectory.take(series, np.arange(series.steps.size) % count == at)


def _points_per_step(series: HistogramSeries) -> IntArray:
    """Returns how many points in a row share a step, int64, one entry per row of points."""
    starts = np.flatnonzero(np.append(True, np.diff(series.steps) != 0))
    return np.diff(np.append(starts, series.steps.size))
