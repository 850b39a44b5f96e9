"""What a model makes of the same batches in evaluation and in training mode."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bn_tb.runs.series import FloatArray

_FEW = 8  # examples of a batch, below which its variance is mostly noise


class Outputs:
    """Outputs in both modes, batch after batch.

    Attributes:
      sums: float64 `[7]`, over batches, so that several processes can add theirs: mean squared
        difference, variance, right answers in evaluation and in training mode (shares); how many
        batches had answers, how many of them are of one class, and their examples.
    """

    def __init__(self) -> None:
        self.sums: FloatArray = np.zeros(7)

    def add(
        self, evaluated: Sequence[np.ndarray], trained: Sequence[np.ndarray], batch: Any
    ) -> None:
        """Takes the outputs for one batch; labels, if the batch has some, score both."""
        for one, other in zip(evaluated, trained, strict=True):
            self.sums[:2] += np.mean((one - other) ** 2), np.var(other)
        labels = _labels(batch)
        if labels is None or len(evaluated) != 1:
            return
        classes = _classes(evaluated[0], labels)
        if classes is not None:
            scores = [float((one[0].argmax(1) == classes).mean()) for one in (evaluated, trained)]
            self.sums[2:] += *scores, 1, np.unique(classes).size == 1, classes.size

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
        evaluated, trained, batches = self.sums[2:5]
        return (float(evaluated / batches), float(trained / batches)) if batches else None

    @property
    def unmixed(self) -> str:
        """How batches differ from those of a training, by their labels; empty if they need not."""
        batches, alike, examples = self.sums[4:]
        if examples < _FEW * batches:
            return f"the batches are too small, {examples / batches:.2g} examples each"
        if alike > batches / 2:
            return "the batches are sorted, most of one class each"
        return ""


def _labels(batch: Any) -> np.ndarray | None:
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        return None
    labels = batch[1]
    labels = labels.detach().cpu() if hasattr(labels, "detach") else labels
    try:
        return np.asarray(labels)
    except (TypeError, ValueError):
        return None


def _classes(output: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """Returns the right class of each example, for integer or one-hot labels, or None."""
    if output.ndim != 2 or output.shape[1] < 2 or not len(output):
        return None
    if labels.shape == output.shape and set(np.unique(labels)) <= {0, 1}:
        labels = labels.argmax(1)
    labels = labels.reshape(-1) if labels.size == len(output) else labels
    if labels.shape != (len(output),) or not np.issubdtype(labels.dtype, np.integer):
        return None
    return labels
