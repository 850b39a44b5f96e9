"""What a layer's own counter says: whether its statistics were meant to be updated."""

import dataclasses
import enum

import numpy as np

from bn_tb.layers import BatchNormLayer, trajectory
from bn_tb.runs.series import IntArray
from bn_tb.runs.tags import Role

_GENEROUS = 1.5
"""Updates since the point before, as a multiple of the usual ones: an interval may be longer."""


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


def resets_of(layer: BatchNormLayer) -> IntArray:
    """Returns the steps of the first points after a layer's counter began again at 0.

    It fell, to no more than can have been counted since the point before: statistics of an older
    checkpoint come with their count, reset ones with none.
    """
    counter = layer.counters.get(Role.UPDATE_COUNT)
    if counter is None or counter.values.size < 3 or not np.isfinite(counter.values).all():
        return np.empty(0, np.int64)
    pace = np.diff(counter.values) / np.diff(counter.steps)
    usual = float(np.median(pace[pace > 0])) if (pace > 0).any() else 0.0
    since = usual * np.diff(counter.steps)
    found: IntArray = counter.steps[1:][(pace < 0) & (counter.values[1:] <= since * _GENEROUS)]
    return found


def since_reset(layer: BatchNormLayer) -> BatchNormLayer:
    """Returns a layer with what was logged of it since its counter last began again at 0."""
    resets = resets_of(layer)
    if not resets.size:
        return layer

    def after(series: trajectory.AnySeries) -> trajectory.AnySeries:
        return trajectory.take(series, series.steps >= resets[-1])

    return dataclasses.replace(
        layer,
        mean=after(layer.mean) if layer.mean else None,
        variance=after(layer.variance) if layer.variance else None,
        counters={role: after(counter) for role, counter in layer.counters.items()},
    )


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
