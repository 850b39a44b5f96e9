"""What a tag held over time, as columns of numpy arrays.

Shapes use T for the points of a series in the order in which they were written. Steps may repeat
or go back (a restart, several writers); `layers` and the rules deal with that, not the reader.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BAND_LEVELS = (0.0, 0.0668, 0.1587, 0.3085, 0.5, 0.6915, 0.8413, 0.9332, 1.0)
"""Levels of the distribution bands: minimum, -1.5, -1, -0.5 sigma, median, and so on, the nine
levels TensorBoard's distribution chart draws (tensorboard/plugins/distribution/compressor.py)."""

MEDIAN = BAND_LEVELS.index(0.5)


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns the different ones of some integers, sorted, `[N]`.

    Not `np.unique`, which imports numpy.ma: that takes longer than a small log.
    """
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


@dataclasses.dataclass(frozen=True)
class ScalarSeries:
    """A scalar tag.

    Attributes:
      steps: Global step of each point, int64 `[T]`.
      wall_times: Seconds since the epoch, float64 `[T]`.
      values: The scalar, float64 `[T]`; NaN and infinities are kept.
      thinned: Whether points were left out to bound memory.
    """

    steps: IntArray
    wall_times: FloatArray
    values: FloatArray
    thinned: bool = False

    def to_pandas(self) -> Any:
        """Returns a pandas.DataFrame by step: `wall_time`, `value`; pandas is the caller's."""
        return _frame(self.steps, wall_time=self.wall_times, value=self.values)


@dataclasses.dataclass(frozen=True)
class HistogramSeries:
    """A histogram tag; a scalar that stands for a statistic is a histogram of one value.

    TF1 and PyTorch histograms (HistogramProto) carry exact moments; those of TF2 tensor
    histograms are computed from the buckets.

    Attributes:
      steps: Global step of each point, int64 `[T]`.
      wall_times: Seconds since the epoch, float64 `[T]`.
      minimum: Smallest value, float64 `[T]`; NaN where the histogram is empty, NaN or infinite
        where it held such values (TF2 histograms of a NaN say nothing else: their count is 0).
      maximum: Largest value, float64 `[T]`; the same.
      count: Number of values (channels of a statistic) in the histogram, float64 `[T]`. TF2 counts
        no value if one is NaN, and leaves out infinite ones.
      total: Sum of the values, float64 `[T]`; non-finite exactly where the histogram held a NaN or
        an infinity, 0 where it is empty.
      sum_squares: Sum of the squared values, float64 `[T]`.
      bands: Values at `BAND_LEVELS`, interpolated inside buckets, float32 `[T, 9]`; NaN for the
        series of weights, of which only the change is of interest, and for empty histograms.
      identity: uint64 `[T]`; equal exactly where two points hold the same histogram, bit by bit.
      exact_moments: Whether `total` and `sum_squares` were written by the framework.
      thinned: Whether points were left out to bound memory. First, last, extremes and every
        change between constant and moving are kept.
    """

    steps: IntArray
    wall_times: FloatArray
    minimum: FloatArray
    maximum: FloatArray
    count: FloatArray
    total: FloatArray
    sum_squares: FloatArray
    bands: npt.NDArray[np.float32]
    identity: npt.NDArray[np.uint64]
    exact_moments: bool = True
    thinned: bool = False

    @property
    def finite(self) -> npt.NDArray[np.bool_]:
        """Whether all values of each point were finite, bool `[T]`; True for none."""
        return np.isfinite(self.total)

    @property
    def mean(self) -> FloatArray:
        """Mean over the channels at each point, float64 `[T]`; NaN where the count is 0."""
        return np.divide(
            self.total, self.count, out=np.full_like(self.total, np.nan), where=self.count > 0
        )

    def to_pandas(self) -> Any:
        """Returns a pandas.DataFrame by step; pandas is the caller's.

        Its columns are `wall_time`, `minimum`, `maximum`, `count`, `mean`, and the bands by their
        levels: `band_0.5` is the median.
        """
        bands = {f"band_{level:g}": self.bands[:, i] for i, level in enumerate(BAND_LEVELS)}
        return _frame(
            self.steps,
            wall_time=self.wall_times,
            minimum=self.minimum,
            maximum=self.maximum,
            count=self.count,
            mean=self.mean,
            **bands,
        )


def _frame(steps: IntArray, **columns: npt.NDArray[Any]) -> Any:
    import pandas

    return pandas.DataFrame(columns, index=pandas.Index(steps, name="step"))
