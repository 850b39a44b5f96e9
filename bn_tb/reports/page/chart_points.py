"""Series to the few points that a chart needs, as JSON-able lists."""

import numpy as np
import numpy.typing as npt

from bn_tb.runs.series import HistogramSeries, IntArray

Number = float | int | None

DIGITS = 5  # significant decimal digits; a chart 1000 pixels high shows three


def thin(low: npt.ArrayLike, high: npt.ArrayLike, limit: int) -> IntArray:
    """Chooses points so that a chart keeps its outline.

    The points are cut into equal parts, and each part keeps the place of its lowest `low` and of
    its highest `high`. First and last points are kept, and a point whose neighbours are equal to
    it is dropped, so that a constant series keeps two.

    Args:
      low: Lower outline, float `[T]`; NaN never counts as lowest.
      high: Upper outline, float `[T]`.
      limit: Largest number of points, at least 4.

    Returns:
      Indices of the points kept, ascending, int64 `[at most limit]`.
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    if low.size == 0:
        return np.empty(0, np.int64)
    kept = np.flatnonzero(_turns(low) | _turns(high))
    if kept.size <= limit:
        return kept
    parts = np.array_split(kept[1:-1], (limit - 2) // 2)
    chosen = [kept[[0, -1]]]
    for part in parts:
        chosen.append(
            part[
                [
                    np.argmin(np.where(np.isnan(low[part]), np.inf, low[part])),
                    np.argmax(np.where(np.isnan(high[part]), -np.inf, high[part])),
                ]
            ]
        )
    return np.unique(np.concatenate(chosen))


def _turns(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Marks the ends and every point that differs from one of its neighbours."""
    differs = (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    return np.concatenate(([True], differs)) | np.concatenate((differs, [True]))


def outline(series: HistogramSeries, limit: int) -> IntArray:
    """Chooses the points of a histogram series that a chart shows; see `thin`."""
    return thin(series.minimum, series.maximum, limit)


def numbers(values: npt.ArrayLike) -> list[Number]:
    """Returns values rounded to `DIGITS` significant digits; None for NaN and infinities."""
    exact = np.asarray(values, np.float64)
    finite = np.isfinite(exact)
    safe = np.where(finite & (exact != 0), np.abs(exact), 1.0)
    places = DIGITS - 1 - np.floor(np.log10(safe)).astype(int)
    return [
        round(value, place) if shown else None
        for value, place, shown in zip(
            exact.tolist(), places.tolist(), finite.tolist(), strict=True
        )
    ]


def steps(values: npt.ArrayLike) -> list[int]:
    """Returns steps as Python integers."""
    return [int(step) for step in np.asarray(values, np.int64).tolist()]
