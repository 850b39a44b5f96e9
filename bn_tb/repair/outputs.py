"""What a model makes of the same batches in evaluation and in training mode."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bn_tb.runs.series import FloatArray


class Outputs:
    """Outputs in both modes, batch after batch.

    Attributes:
      sums: float64 `[5]`, over batches, so that several processes can add theirs: mean squared
        difference, variance, right answers in evaluation and in training mode (shares), and how
        many batches had answers.
    """

    def __init__(self) -> None:
        self.sums: FloatArray = np.zeros(5)

    def add(
        self, evaluated: Sequence[np.ndarray], trained: Sequence[np.ndarray], batch: Any
    ) -> None:
        """Takes the outputs for one batch; labels, if the batch has some, score both."""
        for one, other in zip(evaluated, trained, strict=True):
            self.sums[:2] += np.mean((one - other) ** 2), np.var(other)
        labels = _labels(batch)
        if labels is not None and len(evaluated) == 1:
            scores = _score(evaluated[0], labels), _score(trained[0], labels)
            if scores[0] is not None and scores[1] is not None:
                self.sums[2:] += scores[0], scores[1], 1

    @property
    def difference(self) -> float | None:
        """How far outputs are apart: root mean square, relative to their standard deviation.

        None without outputs that vary.
        """
        squares, spread = self.sums[:2]
        with np.errstate(all="ignore"):
            return float(np.sqrt(squares / spread)) if spread else None

    @property
    def scores(self) -> tuple[float, float] | None:
        """Share of right answers in evaluation and in training mode, or None without labels."""
        evaluated, trained, batches = self.sums[2:]
        return (float(evaluated / batches), float(trained / batches)) if batches else None


def _labels(batch: Any) -> np.ndarray | None:
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        return None
    labels = batch[1]
    labels = labels.detach().cpu() if hasattr(labels, "detach") else labels
    try:
        return np.asarray(labels)
    except (TypeError, ValueError):
        return None


def _score(output: np.ndarray, labels: np.ndarray) -> float | None:
    """Returns the share of right classes for integer or one-hot labels, or None for others."""
    if output.ndim != 2 or output.shape[1] < 2 or not len(output):
        return None
    if labels.shape == output.shape and set(np.unique(labels)) <= {0, 1}:
        labels = labels.argmax(1)
    labels = labels.reshape(-1) if labels.size == len(output) else labels
    if labels.shape != (len(output),) or not np.issubdtype(labels.dtype, np.integer):
        return None
    return float((output.argmax(1) == labels).mean())
