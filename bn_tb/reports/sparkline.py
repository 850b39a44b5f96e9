"""A series of numbers as one line of characters."""

import numpy as np

from bn_tb.runs.series import FloatArray, HistogramSeries, IntArray

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-:=+*#"
NOT_FINITE = "!"
BETWEEN = "·"
BETWEEN_ASCII = " "


def sparkline(steps: IntArray, values: FloatArray, width: int, unicode: bool = True) -> str:
    """Returns a series as a curve of `width` characters.

    Args:
      steps: int64 `[T]`; the axis goes from the smallest to the largest.
      values: float64 `[T]`. A column shows the last value up to its step; values that are not
        finite are drawn as `!`.
      width: Characters.
      unicode: Whether block characters can be shown.
    """
    if len(steps) == 0:
        return ""
    order = np.argsort(steps, kind="stable")
    columns = np.linspace(steps.min(), steps.max(), width)
    last = np.searchsorted(steps[order], columns, side="right") - 1
    shown = values[order][last]
    finite = np.isfinite(shown)
    if not finite.any():
        return NOT_FINITE * width
    marks = BLOCKS if unicode else ASCII
    halves = shown / 2  # the span of halves of the largest doubles is still a double
    low, span = halves[finite].min(), np.ptp(halves[finite])
    heights = np.zeros(width) if span == 0 else (halves - low) / span * (len(marks) - 1)
    return "".join(
        marks[round(height)] if ok else NOT_FINITE
        for height, ok in zip(heights.tolist(), finite.tolist(), strict=True)
    )


def separate_points(steps: IntArray, values: FloatArray, width: int, unicode: bool = True) -> str:
    """Returns `sparkline` with dots for columns that no point falls into: points, and no curve."""
    curve = sparkline(steps, values, width, unicode)
    if not curve:
        return ""
    columns = np.linspace(steps.min(), steps.max(), width)
    filled = set(np.searchsorted(columns, steps).tolist())
    between = BETWEEN if unicode else BETWEEN_ASCII
    return "".join(mark if at in filled else between for at, mark in enumerate(curve))


def root_mean_square(series: HistogramSeries) -> FloatArray:
    """Returns how far a moving mean is from its initial 0, over the channels, float64 `[T]`."""
    with np.errstate(all="ignore"):
        mean_square: FloatArray = series.sum_squares / series.count
        return np.sqrt(mean_square)
