"""Layers that are no batch norm any more: an affine map with statistics of 0 and 1 on purpose."""

import numpy as np

from bn_tb.layers import BatchNormLayer, Framework, Motion, trajectory


def is_folded(layer: BatchNormLayer) -> bool:
    """Returns whether statistics were folded into gamma and beta, as in converted layers.

    Mean and variance are exactly 0 and 1, gamma and beta constant at other values than 1 and 0:
    what a layer that was ever trained with these statistics, and then frozen, does not show either.
    https://github.com/facebookresearch/maskrcnn-benchmark/issues/267
    One checkpoint does not tell whether gamma and beta are constant: there only PyTorch layers
    without a counter of updates, as FrozenBatchNorm2d is one, count as folded.
    """
    if layer.saved and layer.mean is not None and layer.mean.steps.size < 2:
        return layer.framework is Framework.TORCH and not layer.counters and _not_initial(layer)
    own = [series for series in layer.weights.values() if series.steps.size]
    if layer.motion not in (Motion.INITIAL, Motion.SNAPSHOT) or not own:
        return False
    if layer.wiring is not None and (layer.wiring.trainable or layer.wiring.trained):
        return False  # gamma and beta are trained, and stand still for want of gradients
    if any(trajectory.changes(series).any() for series in own):
        return False
    return _not_initial(layer)


def _not_initial(layer: BatchNormLayer) -> bool:
    own = [series for series in layer.weights.values() if series.steps.size]
    return any(not _all(series.minimum, series.maximum, (0.0, 1.0)) for series in own)


def _all(minimum: np.ndarray, maximum: np.ndarray, values: tuple[float, ...]) -> bool:
    return any(bool((minimum == value).all() and (maximum == value).all()) for value in values)
