"""How much of the initial values is left in the moving statistics.

After n updates with momentum m (weight of the old value) the initial value has the weight m**n. The
curves check that figure where momentum or updates are not what they seem, and replace it where they
are unknown: see `curve`.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from bn_tb.evidence import curve
from bn_tb.evidence.clock import Clock
from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.runs.tags import Role

TRUSTED = 0.05
"""Share of the initial value from which statistics are called warm; three time constants."""

_ROUNDING = 1e-3
"""Relative rounding of float32 averages over some thousand updates, generously."""

_LEAST_AT_FIRST = 0.2
"""Smallest variance at a first logged point that may still have begun at 1; less is as likely the
variance of a pretrained network, of which the curves say nothing."""


@dataclasses.dataclass(frozen=True)
class Lag:
    """What is left of the initial value of one layer.

    Attributes:
      weight: Share of the initial value at the last step in [0, 1], or None if unknown.
      start: Step at which the statistics held their initial values, or None if unknown.
      exact_start: Whether that was logged, rather than concluded from the run's step 0.
      updates: Updates since then, or None if unknown.
      momentum: Weight of the old value per update, or None if unknown.
      momentum_source: `graph`, `keras_config`, `flag`, `measured`, or None.
      from_defaults: Whether the initial values were 0 and 1 (not those of a pretrained network).
      trusted_from: First step whose share is at most `TRUSTED`, or None if unknown.
      refuted: Upper bound of the share, if a variance contradicts momentum and updates; else None.
      decay: Weight of the old value per logged step, if it comes from the curves; else None.
    """

    weight: float | None = None
    start: int | None = None
    exact_start: bool = False
    updates: float | None = None
    momentum: float | None = None
    momentum_source: str | None = None
    from_defaults: bool = False
    trusted_from: int | None = None
    refuted: float | None = None
    decay: float | None = None


def lags_of(layers: Sequence[BatchNormLayer], clock: Clock) -> tuple[Lag, ...]:
    """Returns what is left of the initial values of each layer of a run.

    Layers with one momentum share what their curves say: the momentum of a network is as a rule
    one number.
    """
    lags = [_by_momentum(layer, clock) for layer in layers]
    groups: dict[float | None, list[int]] = {}
    for at, lag in enumerate(lags):
        groups.setdefault(lag.momentum, []).append(at)
    for members in groups.values():
        began = {at: found for at in members if (found := _began(layers[at], lags[at], clock))}
        if began:
            share = curve.share_of(list(began.values()))
            for at in members:
                lags[at] = _with_curve(lags[at], share, began.get(at))
    return tuple(lags)


def _began(layer: BatchNormLayer, lag: Lag, clock: Clock) -> curve.Began | None:
    """Returns the curves of a moving layer that can have begun at 0 and 1, and where."""
    series = dict(layer.finite)
    mean, variance = series.get(Role.MOVING_MEAN), series.get(Role.MOVING_VARIANCE)
    if layer.motion is not Motion.MOVING or (layer.wiring and layer.wiring.zero_debias):
        return None
    if mean is None or variance is None or not np.array_equal(mean.steps, variance.steps):
        return None
    if lag.start is not None:
        default = layer.initial(Role.MOVING_VARIANCE, variance) == 1.0
        return curve.Began(mean, variance, lag.start) if default else None
    steps = variance.steps
    interval = float(np.median(np.diff(steps)))
    if steps[0] > 2 * interval or steps[0] < 0 or variance.minimum[0] < _LEAST_AT_FIRST:
        return None
    # The run's step 0, unless that is when the first updates had been made.
    return curve.Began(mean, variance, -1.0 if steps[0] == 0 else 0.0)


def _with_curve(lag: Lag, share: curve.Share, began: curve.Began | None) -> Lag:
    """Returns a lag that agrees with the curves of its group."""
    if lag.weight is not None and lag.updates is not None:
        if not lag.from_defaults or share.bound >= lag.weight * (1 - _ROUNDING):
            return lag
        return dataclasses.replace(lag, weight=share.bound, trusted_from=None, refuted=share.bound)
    if began is None or lag.weight is not None:
        return lag
    if share.bound <= TRUSTED:
        return dataclasses.replace(lag, weight=share.bound)
    if share.estimate is None:
        return lag
    last = float(began.variance.steps[-1]) - began.start
    if last <= 0:  # steps beyond 2**53, where neighbours are one float
        return lag
    decay = share.estimate ** (1 / last)
    needed = math.log(TRUSTED) / math.log(decay) if decay < 1 else math.inf
    return dataclasses.replace(
        lag,
        weight=share.estimate,
        decay=decay,
        from_defaults=True,
        trusted_from=math.ceil(began.start + needed) if math.isfinite(needed) else None,
    )


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


def _by_momentum(layer: BatchNormLayer, clock: Clock) -> Lag:
    if layer.motion is Motion.INITIAL:
        return Lag(1.0, held_until(layer), True, None, layer.momentum, layer.momentum_source, True)
    if layer.motion is not Motion.MOVING or (layer.wiring and layer.wiring.zero_debias):
        return Lag(momentum=layer.momentum, momentum_source=layer.momentum_source)
    start = held_until(layer)
    exact = start is not None
    span = layer.steps
    lag = Lag(
        start=start, exact_start=exact, momentum=layer.momentum,
        momentum_source=layer.momentum_source, from_defaults=exact,
    )  # fmt: skip
    if layer.momentum is None or not 0 < layer.momentum < 1 or span is None:
        return lag
    last = clock.updates(span[1])
    if last is None:
        return lag
    began = clock.updates(start) if start is not None else 0.0
    updates = last - (began or 0.0)
    if updates <= 0:
        return lag
    return dataclasses.replace(
        lag,
        weight=layer.momentum**updates,
        updates=updates,
        from_defaults=exact or _began_at_defaults(layer, layer.momentum, clock),
        trusted_from=_trusted_from(layer.momentum, began or 0.0, clock),
    )


def _trusted_from(momentum: float, began: float, clock: Clock) -> int | None:
    if clock.updates_per_step is None:
        return None
    needed = math.ceil(math.log(TRUSTED) / math.log(momentum) - 1e-9)
    return math.ceil((began + needed - clock.at_zero) / clock.updates_per_step - 1e-9)


def _began_at_defaults(layer: BatchNormLayer, momentum: float, clock: Clock) -> bool:
    """Returns whether a curve whose beginning is not logged can have begun at 0 and 1.

    Moving means that began at 0 grow like 1 - m**n while that still changes; those of a pretrained
    network are there from the first point. And the variance keeps above the floor.
    """
    mean, variance = (
        dict(layer.finite).get(role) for role in (Role.MOVING_MEAN, Role.MOVING_VARIANCE)
    )
    if mean is None or variance is None:
        return False
    first, last = (clock.updates(float(mean.steps[at])) for at in (0, -1))
    if first is None or last is None or first <= 0:
        return False
    left = momentum**first
    if left >= 1 or variance.minimum[0] < left * (1 - _ROUNDING):
        return False
    expected = math.log((1 - momentum**last) / (1 - left))
    size = trajectory.rms(mean)
    if expected < math.log(1.5):
        return bool(left < TRUSTED)
    return bool(size[0] <= 0 or size[-1] / size[0] > math.exp(expected / 2))
