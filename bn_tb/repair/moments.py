"""Means and variances over many batches, and what a layer holds beside them; no framework.

Shapes: C channels of a layer.
"""

import dataclasses

import numpy as np

from bn_tb.runs.series import FloatArray


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Statistics of one layer.

    Attributes:
      mean: float64 `[C]`.
      variance: float64 `[C]`.
    """

    mean: FloatArray
    variance: FloatArray

    @property
    def finite(self) -> bool:
        """Whether all of them are."""
        return bool(np.isfinite(self.mean).all() and np.isfinite(self.variance).all())


class Moments:
    """The moments of the input of one layer, batch after batch."""

    def __init__(self) -> None:
        self._count = 0.0
        self._sum: FloatArray = np.zeros(0)
        self._squares: FloatArray = np.zeros(0)

    def add(self, mean: FloatArray, variance: FloatArray, count: float) -> None:
        """Takes one batch.

        Args:
          mean: Its mean, `[C]`.
          variance: Its biased variance, mean((x - mean)**2), `[C]`.
          count: Values per channel.
        """
        mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
        if not self._count:
            self._sum, self._squares = np.zeros_like(mean), np.zeros_like(mean)
        self._count += count
        self._sum += count * mean
        self._squares += count * (variance + mean**2)

    def set_sums(self, count: float, total: FloatArray, squares: FloatArray) -> None:
        """Takes what all processes summed: values, their sum and that of their squares."""
        self._count, self._sum, self._squares = count, total, squares

    @property
    def sums(self) -> tuple[float, FloatArray, FloatArray]:
        """Values per channel, their sum and that of their squares."""
        return self._count, self._sum, self._squares

    def statistics(self) -> Statistics | None:
        """Returns mean and unbiased variance over all values, or None of no value.

        The variance is that of all values, so that of the means between batches counts; n / (n - 1)
        as in torch/nn/modules/batchnorm.py and fused batch norm of TensorFlow.
        """
        if not self._count:
            return None
        mean = self._sum / self._count
        biased = np.maximum(self._squares / self._count - mean**2, 0.0)
        return Statistics(mean, biased * self._count / max(self._count - 1, 1))
