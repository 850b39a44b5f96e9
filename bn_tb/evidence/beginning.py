"""When statistics held their initial values: a logged step, or one before the log begins."""

from collections.abc import Sequence

import numpy as np

from bn_tb.evidence.clock import Clock
from bn_tb.evidence.curve import Began
from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.runs.series import HistogramSeries
from bn_tb.runs.tags import Role

_LEAST_AT_FIRST = 0.2
"""Smallest variance at a first logged point that may still have begun at 1; less is as likely the
variance of a pretrained network, of which the curves say nothing."""

_NEW = 0.02
"""Distance from 0 and 1, in every channel, of a first logged point that is no data's: variances of
real channels differ by more."""
_GREW = 3  # times that the means of layers that began at 0 grow, at least
_ONE_FACTOR = 1.5  # between the growth of layers that began together; data drift on top of it


def held_until(layer: BatchNormLayer) -> int | None:
    """Returns the last step before anything moved, if both statistics were initial until then."""
    steps = []
    for role, series in layer.finite:
        if not series.steps.size or series.minimum[0] != series.maximum[0]:
            return None
        held = trajectory.holds(series, layer.initial(role, series))
        if not held[0]:
            return None
        steps.append(int(series.steps[held.argmin() - 1 if not held.all() else -1]))
    return min(steps, default=None)


def beginning_of(
    layer: BatchNormLayer, start: int | None, late: bool, clock: Clock
) -> Began | None:
    """Returns the curves of a moving layer that can have begun at 0 and 1, and where.

    Args:
      layer: A layer.
      start: Step at which its initial values were logged, if they were.
      late: Whether it may have begun right before a log that begins at a late step.
      clock: The layer's clock.
    """
    curves = _curves(layer)
    if curves is None or (layer.wiring and layer.wiring.zero_debias):
        return None
    mean, variance = curves
    if start is not None:
        default = layer.initial(Role.MOVING_VARIANCE, variance) == 1.0
        held = clock.step_of(0.0) if clock.seldom else float(start)
        return Began(mean, variance, held) if default else None
    born = _birth(layer, mean, variance, late)
    return None if born is None else Began(mean, variance, born)


def _birth(
    layer: BatchNormLayer, mean: HistogramSeries, variance: HistogramSeries, late: bool
) -> float | None:
    """Returns the step before the log at which a layer can have been at 0 and 1, or None.

    Args:
      layer: A moving layer.
      mean: Its moving mean.
      variance: Its moving variance, at the same steps.
      late: Whether it may have begun right before a log that begins at a late step.
    """
    steps = mean.steps
    interval = float(np.median(np.diff(steps)))
    if variance.minimum[0] < _LEAST_AT_FIRST:
        return None
    counter = layer.counters.get(Role.UPDATE_COUNT)
    if counter is not None and counter.values.size > 1 and counter.steps[0] == steps[0]:
        pace = float(np.diff(counter.values[[0, -1]])[0] / np.diff(counter.steps[[0, -1]])[0])
        if 0 < counter.values[0] <= 2 * interval * pace:
            return float(steps[0] - counter.values[0] / pace)
    if 0 <= steps[0] <= 2 * interval:
        # The run's step 0, unless that is when the first updates had been made.
        return -1.0 if steps[0] == 0 else 0.0
    if not late:
        return None
    size = trajectory.rms(mean)[:2]  # grows in a straight line at first: back to 0
    gone = float(size[0] / (size[1] - size[0]) * np.diff(steps[:2])[0]) if size[1] > size[0] else 1
    return float(steps[0]) - min(gone, interval)


def grows(layer: BatchNormLayer) -> bool:
    """Returns whether the means of a layer grow as those of one that began at 0 and 1 may."""
    curves = _curves(layer)
    if curves is None:
        return False
    size = trajectory.rms(curves[0])
    return bool(size[-1] > _GREW * size[0] > 0)


def born_together(layers: Sequence[BatchNormLayer]) -> bool:
    """Returns whether growing layers were at 0 and 1 right before their first logged points.

    From there the means of all grow by one factor, whatever the data, as they share a momentum; of
    a single layer the first point must hold 0 and 1 but for what no data does.
    """
    curves = [found for layer in layers if (found := _curves(layer))]
    sizes = [trajectory.rms(mean) for mean, _ in curves]
    if len(curves) == 1:
        (_, variance), size = curves[0], sizes[0]
        away = abs(variance.minimum[0] - 1), abs(variance.maximum[0] - 1), size[0]
        return bool(max(away) <= _NEW)
    factors = [float(size[-1] / size[0]) for size in sizes]
    return max(factors) < _ONE_FACTOR * min(factors)


def _curves(layer: BatchNormLayer) -> tuple[HistogramSeries, HistogramSeries] | None:
    """Returns moving mean and variance of a moving layer, if they are logged at the same steps."""
    series = dict(layer.finite)
    mean, variance = series.get(Role.MOVING_MEAN), series.get(Role.MOVING_VARIANCE)
    if layer.motion is not Motion.MOVING or mean is None or variance is None:
        return None
    return (mean, variance) if np.array_equal(mean.steps, variance.steps) else None
