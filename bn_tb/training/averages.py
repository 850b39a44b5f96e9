"""Moving averages of batch statistics outside the graph: many momenta for one training.

Training normalises with the statistics of each batch and never reads the moving ones. So the
weights do not depend on the momentum, and one training serves to compare any number of momenta.
Its layers are built with momentum 0: after each step, their moving statistics are the statistics
of that step's batch.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bn_tb.training import scopes
from bn_tb.training.model import Placeholders

Statistics = Sequence[np.ndarray]
"""One array, float32 `[C]`, a moving statistic, in the order of `scope_moving_statistics`."""


@dataclasses.dataclass(frozen=True, eq=False)
class MovingAverage:
    """An exponential moving average that keeps the part of the initial value apart.

    After t updates with momentum m, `average = m * average + (1 - m) * batch` started from an
    initial value gives `m**t * initial` plus what the same average gives when started from zero.

    Attributes:
      momentum: Weight of the old value in each update, in `[0, 1)`.
      initial: The initial value.
      started_from_zero: The part that comes from batches.
      updates: How many there were, t.
    """

    momentum: float
    initial: Statistics
    started_from_zero: Statistics
    updates: int = 0

    @classmethod
    def start(cls, momentum: float, initial: Statistics) -> "MovingAverage":
        """Returns an average without updates."""
        return cls(momentum, initial, [np.zeros_like(value) for value in initial])

    def updated(self, batch: Statistics) -> "MovingAverage":
        """Returns the average after one more batch."""
        m = np.float32(self.momentum)
        values = [m * a + (1 - m) * b for a, b in zip(self.started_from_zero, batch, strict=True)]
        return dataclasses.replace(self, started_from_zero=values, updates=self.updates + 1)

    @property
    def initial_weight(self) -> float:
        """The weight that the initial value still has, m ** t."""
        return float(self.momentum**self.updates)

    @property
    def value(self) -> Statistics:
        """What a batch-norm layer's moving statistics would be."""
        weight = np.float32(self.initial_weight)
        return [weight * i + a for i, a in zip(self.initial, self.started_from_zero, strict=True)]

    @property
    def debiased(self) -> Statistics:
        """The average without the initial value (Kingma and Ba 2014, arXiv 1412.6980, section 3).

        Raises:
          ValueError: There was no update yet.
        """
        if not self.updates:
            raise ValueError("an average of no batches cannot be debiased")
        weight = np.float32(1 - self.initial_weight)
        return [average / weight for average in self.started_from_zero]


def mixture(initial: Statistics, estimated: Statistics, initial_weight: float) -> Statistics:
    """Returns `initial_weight * initial + (1 - initial_weight) * estimated`."""
    weight = np.float32(initial_weight)
    return [weight * i + (1 - weight) * e for i, e in zip(initial, estimated, strict=True)]


def read(session: Any, scope: str) -> Statistics:
    """Returns the moving statistics of the layers in `scope`."""
    return list(session.run(scopes.scope_moving_statistics(scope)))


def load(session: Any, scope: str, statistics: Statistics) -> None:
    """Sets the moving statistics of the layers in `scope`."""
    initializers = [v.initializer for v in scopes.scope_moving_statistics(scope)]
    values = [initializer.inputs[1] for initializer in initializers]
    session.run(initializers, dict(zip(values, statistics, strict=True)))


def estimate(
    session: Any,
    inputs: Placeholders,
    scope: str,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
) -> Statistics:
    """Returns the mean of the statistics of some batches under the present weights.

    Runs only the updates of the moving averages, so no weight changes. The layers must have
    momentum 0; their moving statistics are those of the last batch afterwards.

    Args:
      session: A session.
      inputs: The placeholders of the model.
      scope: The variable scope of the model.
      batches: Images, float32 `[B, 784]`, and classes, int32 `[B]`; at least one.
    """
    updates = scopes.scope_collection("update_ops", scope)
    seen = []
    for X, y in batches:
        session.run(updates, {inputs.X: X, inputs.y: y, inputs.training: True})
        seen.append(read(session, scope))
    return [np.mean(values, axis=0) for values in zip(*seen, strict=True)]


def distance(statistics: Statistics, truth: Statistics, epsilon: float) -> tuple[float, float]:
    """Returns how far statistics are from others, root mean squares over all channels.

    Args:
      statistics: Means and variances in turn, as `scope_moving_statistics` lists them.
      truth: The same, to compare with.
      epsilon: What the layer adds to a variance.

    Returns:
      Difference of the means in true standard deviations; difference of the logarithms of the
      variances.
    """
    means = [
        (mean - true) / np.sqrt(variance + epsilon)
        for mean, true, variance in zip(statistics[::2], truth[::2], truth[1::2], strict=True)
    ]
    variances = [
        np.log((variance + epsilon) / (true + epsilon))
        for variance, true in zip(statistics[1::2], truth[1::2], strict=True)
    ]
    return _rms(means), _rms(variances)


def _rms(values: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(values) ** 2)))
