"""Layers of which nothing, or only the statistics, is still as it was made."""

import re

import numpy as np

from bn_tb.layers import BatchNormLayer, Framework, Motion
from bn_tb.runs.tags import Role


def is_untouched(layer: BatchNormLayer) -> bool:
    """Returns whether statistics, gamma and beta all hold their initial values at every point.

    Gamma and beta of a layer that runs get gradients, in evaluation mode too. Asked of PyTorch
    only, where a layer has variables though it is never called, and of layers whose counter of
    updates says that no batch was seen.
    """
    if layer.motion is not Motion.INITIAL or layer.wiring is not None:
        return False
    seen = layer.counters.get(Role.UPDATE_COUNT)
    if seen is None:
        idle = layer.framework is Framework.TORCH
    else:
        idle = bool(seen.values.size) and not seen.values.any()
    return idle and gamma_and_beta_stand(layer)


def gamma_and_beta_stand(layer: BatchNormLayer) -> bool:
    """Returns whether gamma and beta are logged and hold their initial values at every point."""
    own = [series for series in layer.weights.values() if series.steps.size]
    return len(own) > 1 and all(_stands_at_0_or_1(one.minimum, one.maximum) for one in own)


def _stands_at_0_or_1(minimum: np.ndarray, maximum: np.ndarray) -> bool:
    """Gamma begins at 1, or at 0 at the end of a residual block; beta at 0."""
    first = minimum[0]
    return first in (0.0, 1.0) and bool((minimum == first).all() and (maximum == first).all())


_AWAY = 0.1
"""Distance of gamma from 1, root mean square over channels; DCGAN draws it within 0.02 of 1."""
_FASTER = 5  # times the fastest way that gamma goes in this log; learning rates fall


def gamma_was_trained_before(layer: BatchNormLayer) -> bool:
    """Returns whether gamma is further from 1 at its first point than this training takes it.

    Weights of an earlier training were loaded then.
    """
    for tag, series in layer.weights.items():
        name = re.split(r"[/.]", tag.removesuffix("/histogram"))[-1].split(":")[0].lower()
        if name not in ("gamma", "weight", "scale") or not series.steps.size:
            continue
        with np.errstate(all="ignore"):  # a hostile log may hold no values, or huge ones
            squares = series.sum_squares / series.count - 2 * series.mean + 1
        away = np.sqrt(np.maximum(squares, 0))
        passed = np.diff(series.steps)
        pace = float((np.abs(np.diff(away)) / passed).max(initial=0.0))
        reach = _FASTER * pace * max(float(series.steps[0]), 0.0)
        return bool(away[0] >= _AWAY and away[0] > reach)
    return False


def untouched_among_trained(layers: tuple[BatchNormLayer, ...]) -> tuple[BatchNormLayer, ...]:
    """Returns the untouched layers of a network in which another batch norm did run."""
    found = tuple(filter(is_untouched, layers))
    if not found or not any(_ran(layer) for layer in layers):
        return ()
    return found


def _ran(layer: BatchNormLayer) -> bool:
    if layer.motion in (Motion.MOVING, Motion.HALF):
        return True
    return layer.saved and layer.motion is Motion.SNAPSHOT
