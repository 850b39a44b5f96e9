"""What a layer's own counter says: whether its statistics were meant to be updated."""

import enum

import numpy as np

from bn_tb.layers import BatchNormLayer
from bn_tb.runs.tags import Role


class Count(enum.Enum):
    """What a counter of updates did between its first and its last point.

    PyTorch counts in `forward` when a layer in training mode tracks statistics, whatever its
    momentum (torch/nn/modules/batchnorm.py, `_BatchNorm.forward`).
    """

    NOT_LOGGED = "not logged"
    STANDS = "stands still"
    GROWS = "grows"


def count_of(layer: BatchNormLayer, since: float = -np.inf) -> Count:
    """Returns what a layer's counter did at the points from step `since` on."""
    counter = layer.counters.get(Role.UPDATE_COUNT)
    if counter is None:
        return Count.NOT_LOGGED
    values = counter.values[counter.steps >= since]
    if values.size < 2 or not np.isfinite(values).all():
        return Count.NOT_LOGGED
    return Count.GROWS if values[-1] > values[0] else Count.STANDS


def counted(layer: BatchNormLayer) -> str:
    """Returns a line of proof about a layer's counter, or an empty string."""
    counter = layer.counters.get(Role.UPDATE_COUNT)
    if counter is None or not counter.steps.size:
        return ""
    values, steps = counter.values, counter.steps
    return (
        f"updates counted by {layer.name}: {values[0]:.0f} at step {steps[0]}, {values[-1]:.0f} "
        f"at step {steps[-1]}"
    )
