"""Whether a layer gets any signal: batches in which no channel varies leave their own trace."""

import numpy as np

from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.runs.series import FloatArray
from bn_tb.runs.tags import Role

_ALIKE = 1e-3
"""Relative distance of the largest and the smallest variance that rounding of float32 explains."""

_STRAIGHT = 0.05
"""Range of the slope of ln(variance) per step, relative to its median: a decay has one slope."""
_FEWEST = 3  # points; two always lie on a line


def gets_no_signal(layer: BatchNormLayer) -> bool:
    """Returns whether every batch had a variance of 0 in every channel.

    Then all variances are the initial 1 times momentum to the power of the updates: alike in all
    channels, and falling. Batches of one value per channel do that, and constant inputs. The
    gradients of gamma and of all that feeds the layer are 0.
    """
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion not in (Motion.MOVING, Motion.HALF):
        return False
    low, high = variance.minimum, variance.maximum
    if variance.steps.size < _FEWEST or float(variance.count[-1]) < 2 or not high[-1] < 0.9:
        return False
    if not (high - low <= _ALIKE * high + np.finfo(np.float32).tiny).all():
        return False
    some = high > np.finfo(np.float32).tiny  # a decay ends in denormal numbers, then at 0
    slopes = np.diff(np.log(high[some])) / np.diff(variance.steps[some])
    return bool(slopes.size and (slopes < 0).all() and _straight(slopes))


def _straight(slopes: FloatArray) -> bool:
    return bool(np.ptp(slopes) <= _STRAIGHT * -np.median(slopes))
