"""What a model makes of the same batches in evaluation and in training mode."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Outputs:
    """Outputs in both modes, batch after batch."""

    def __init__(self) -> None:
        self._squares = self._spread = 0.0
        self._scores: list[tuple[float, float]] = []

    def add(
        self, evaluated: Sequence[np.ndarray], trained: Sequence[np.ndarray], batch: Any
    ) -> None:
        """Takes the outputs for one batch; labels, if the batch has some, score both."""
        for one, other in zip(evaluated, trained, strict=True):
            self._squares += float(np.mean((one - other) ** 2))
            self._spread += float(np.var(other))
        labels = _labels(batch)
        if labels is not None and len(evaluated) == 1:
            scores = _score(evaluated[0], labels), _score(trained[0], labels)
            if scores[0] is not None and scores[1] is not None:
                self._scores.append((scores[0], scores[1]))

    @property
    def difference(self) -> float | None:
        """How far outputs are apart: root mean square, relative to their standard deviation.

        None without outputs that vary.
        """
        with np.errstate(all="ignore"):
            return float(np.sqrt(self._squares / self._spread)) if self._spread else None

    @property
    def scores(self) -> tuple[float, float] | None:
        """Share of right answers in evaluation and in training mode, or None without labels."""
        if not self._scores:
            return None
        evaluated, trained = np.mean(self._scores, axis=0)
        return float(evaluated), float(trained)


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
