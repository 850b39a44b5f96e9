"""How much of the initial values is left in the moving statistics.

After n updates with momentum m (weight of the old value) the initial value has the weight m**n. The
curves check that figure where momentum or updates are not what they seem, and replace it where they
are unknown: see `curve`.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from bn_tb.evidence import curve
from bn_tb.evidence.beginning import beginning_of, born_together, grows, held_until
from bn_tb.evidence.clock import Clock, own_clock
from bn_tb.evidence.copies import Copy
from bn_tb.evidence.counting import since_reset
from bn_tb.layers import BatchNormLayer, Framework, Motion, trajectory
from bn_tb.runs.series import MEDIAN, FloatArray, HistogramSeries
from bn_tb.runs.tags import Role

TRUSTED = 0.05
"""Share of the initial value from which statistics are called warm; three time constants."""

LARGEST_MOMENTUM = 0.999
"""The slowest customary momentum: the default of tf.contrib.layers.batch_norm (slim)."""

_ROUNDING = 1e-3
"""Relative rounding of float32 averages over some thousand updates, generously."""

_BATCHES = 10
"""Updates of an epoch of which the number is not known, at least; fewer batches are rare."""


@dataclasses.dataclass(frozen=True)
class Lag:
    """What is left of the initial value of one layer.

    Attributes:
      weight: Weight of the initial value at the last step in [0, 1], or None if unknown.
      share: Its share of the variance that evaluation divides by, at least the weight, in [0, 1].
      start: Step at which the statistics held their initial values, or None if unknown.
      exact_start: Whether that was logged, rather than concluded from the run's step 0.
      updates: Updates since then, or None if unknown.
      momentum: Weight of the old value per update, or None if unknown.
      momentum_source: `graph`, `keras_config`, `flag`, `measured`, or None.
      from_defaults: Whether the initial values were 0 and 1 (not those of a pretrained network).
      trusted_from: First step at which the share is at most `TRUSTED`, or None if unknown.
      refuted: Upper bound of the share, if a variance contradicts momentum and updates; else None.
      decay: Weight of the old value per logged step, if it comes from the curves; else None.
      open: Whether neither momentum nor curves tell the weight, and a slow momentum would lag.
      seldom: Whether the curves show that there were fewer updates than steps.
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
    share: float | None = None
    open: bool = False
    seldom: bool = False


_FEWER = 3  # times the weight by momentum and steps; half of the estimates are within 0.02

_COPY_POINTS = 4  # points; a decay and its fit
_COPY_REST = 0.2  # share of the copy's movement that its decay may leave unexplained
_YOUNG = 0.5  # of the original's means; a copy that begins at 0 is far below, one made later is not


def lags_of(
    layers: Sequence[BatchNormLayer], clock: Clock, copies: Mapping[str, Copy] | None = None
) -> tuple[Lag, ...]:
    """Returns what is left of the initial values of each layer of a run.

    Layers with one momentum share what their curves say: the momentum of a network is as a rule
    one number. A copy has the decay of its averaging, whatever the momentum of the original is.

    Args:
      layers: Layers of a run.
      clock: Its clock.
      copies: Layers that belong to a copy.
    """
    copies = copies or {}
    layers = [_as_averaged(since_reset(layer)) for layer in layers]
    decays = _decays(layers, copies)
    clocks = [own_clock(layer, clock) for layer in layers]
    copies = {
        name: copy
        for name, copy in copies.items()
        if copy.shown or copy.model in decays  # else it may be a network that trains by itself
    }
    lags = [
        _of_copy(layer, copies[layer.name], decays.get(copies[layer.name].model))
        if layer.name in copies
        else _by_momentum(layer, own)
        for layer, own in zip(layers, clocks, strict=True)
    ]
    groups: dict[tuple[float | None, bool], list[int]] = {}
    for at, lag in enumerate(lags):
        if layers[at].name not in copies:  # a new head on a warm backbone is a group of its own
            groups.setdefault((lag.momentum, grows(layers[at])), []).append(at)
    for (_, grow), members in groups.items():
        late = grow and born_together([layers[at] for at in members])
        starts = {at: lags[at].start for at in members}
        began = {
            at: found
            for at, start in starts.items()
            if (found := beginning_of(layers[at], start, late, clocks[at]))
        }
        if began:
            share = curve.share_of(list(began.values()))
            for at in members:
                saved = layers[at].saved  # of counted updates see `may_be_young`
                lags[at] = _with_curve(lags[at], share, began.get(at), clocks[at], saved)
    return tuple(_against_variance(*each) for each in zip(layers, lags, clocks, strict=True))


def _as_averaged(layer: BatchNormLayer) -> BatchNormLayer:
    """Returns a layer with what its variance is the square of, if that is what it averages.

    Batch renormalisation averages sqrt(variance + epsilon), here in units of its initial value, so
    that a weight w of the initial 1 is left where no value is below w, as of variances elsewhere.
    """
    variance = layer.variance
    if not layer.renorm or variance is None:
        return layer

    def root(values: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(values + layer.epsilon, 0) / (1 + layer.epsilon))

    averaged = dataclasses.replace(
        variance,
        minimum=root(variance.minimum),
        maximum=root(variance.maximum),
        bands=root(variance.bands),
        total=variance.count * root(variance.mean),
    )
    return dataclasses.replace(layer, variance=averaged)


def _decays(layers: Sequence[BatchNormLayer], copies: Mapping[str, Copy]) -> dict[str, float]:
    """Returns the decay of each copy of the network: one number for all of its layers."""
    found: dict[str, list[float]] = {}
    for layer in layers:
        copy = copies.get(layer.name)
        if copy and (decay := copy_decay(layer, copy.original)) is not None:
            found.setdefault(copy.model, []).append(decay)
    return {model: float(np.median(decays)) for model, decays in found.items()}


def _of_copy(layer: BatchNormLayer, copy: Copy, decay: float | None) -> Lag:
    """Returns the lag of a layer that averages its original: its decay is that of this averaging.

    Averages over channels are linear, so those of the copy are the average, by the decay d per
    step, of those of the original: between two points k steps apart the copy goes 1 - d**k of its
    way to the original.
    """
    if layer.motion is Motion.INITIAL:
        return Lag(1.0, held_until(layer), True, from_defaults=True)
    start = held_until(layer)
    if decay is None or layer.steps is None or layer.motion is not Motion.MOVING:
        return Lag()
    first, last = layer.steps
    if start is None:
        interval = int(np.median(np.diff(layer.finite[0][1].steps)))
        series = dict(layer.finite).get(Role.MOVING_VARIANCE)
        floor = decay ** (2 * interval)
        if series is None or not series.minimum[0] >= floor * (1 - _ROUNDING):
            return Lag(decay=decay)
        if not trajectory.rms(dict(layer.finite)[Role.MOVING_MEAN])[0] <= _YOUNG * _level(copy):
            return Lag(decay=decay)
        start = first - interval
    needed = math.log(TRUSTED) / math.log(decay)
    return Lag(
        weight=decay ** (last - start),
        start=start,
        decay=decay,
        from_defaults=True,
        trusted_from=math.ceil(start + needed),
    )


def _level(copy: Copy) -> float:
    mean = copy.original.mean
    return 0.0 if mean is None or not mean.steps.size else float(trajectory.rms(mean)[-1])


def copy_decay(layer: BatchNormLayer, original: BatchNormLayer) -> float | None:
    """Returns the weight of the old value per step in a copy, in (0, 1), or None if none fits."""
    moves, ways = list[FloatArray](), list[FloatArray]()
    interval = 1.0
    for own, source in ((layer.mean, original.mean), (layer.variance, original.variance)):
        if own is None or source is None or not np.array_equal(own.steps, source.steps):
            return None
        if own.steps.size < _COPY_POINTS:
            return None
        interval = float(np.median(np.diff(own.steps)))
        moves.append(np.diff(own.mean))
        # Within a long interval the original is half of the time nearer to its last value.
        there = source.mean[1:] if interval == 1 else (source.mean[1:] + source.mean[:-1]) / 2
        ways.append(there - own.mean[:-1])
    scale = [np.sqrt(np.mean(way**2)) or 1.0 for way in ways]
    move = np.concatenate([one / size for one, size in zip(moves, scale, strict=True)])
    way = np.concatenate([one / size for one, size in zip(ways, scale, strict=True)])
    part = float(move @ way) / max(float(way @ way), np.finfo(float).tiny)
    rest = move - part * way
    if not 0 < part < 1 or not rest @ rest < _COPY_REST * (move @ move):
        return None
    return float((1 - part) ** (1 / interval))


def _with_curve(
    lag: Lag, share: curve.Share, began: curve.Began | None, clock: Clock, saved: bool
) -> Lag:
    """Returns a lag that agrees with the curves of its group."""
    if lag.weight is not None and lag.updates is not None:
        if began is not None and _slower(lag, share, clock):
            return _by_shape(lag, share.estimate or 0.0, began)
        if not lag.from_defaults or share.bound >= lag.weight * (1 - _ROUNDING):
            return lag
        return dataclasses.replace(lag, weight=share.bound, trusted_from=None, refuted=share.bound)
    if began is None or lag.weight is not None:
        return lag
    if share.bound <= TRUSTED:
        return dataclasses.replace(lag, weight=share.bound)
    if share.estimate is None:
        unsure = not share.risen and not saved and _may_lag(began, clock, lag.momentum)
        return dataclasses.replace(lag, open=unsure)
    return _by_shape(lag, share.estimate, began)


def _slower(lag: Lag, share: curve.Share, clock: Clock) -> bool:
    """Returns whether curves show that there were fewer updates than steps.

    Averages of data that drift rise late as well, but not in the shape of one decay.
    """
    uncounted = not clock.source and not clock.seldom and lag.from_defaults
    estimate = share.estimate if uncounted else None
    return estimate is not None and estimate > max(TRUSTED, _FEWER * (lag.weight or 0.0))


def _by_shape(lag: Lag, estimate: float, began: curve.Began) -> Lag:
    """Returns a lag with the share that the curves estimate."""
    last = float(began.variance.steps[-1]) - began.start
    if last <= 0:  # steps beyond 2**53, where neighbours are one float
        return lag
    decay = estimate ** (1 / last)
    needed = math.log(TRUSTED) / math.log(decay) if decay < 1 else math.inf
    return dataclasses.replace(
        lag,
        weight=estimate,
        updates=None,
        seldom=lag.updates is not None,
        decay=decay,
        from_defaults=True,
        trusted_from=math.ceil(began.start + needed) if math.isfinite(needed) else None,
    )


def _may_lag(began: curve.Began, clock: Clock, momentum: float | None) -> bool:
    """Returns whether the momentum, or the slowest customary one, lags after so many updates.

    Statistics that held their initial values for a while and left them then were filled in.
    """
    if began.start > began.mean.steps[:2][-1]:
        return False
    last = float(began.mean.steps[-1])
    updates = (clock.updates(last) or 0.0) - (clock.updates(began.start) or 0.0)
    if clock.unit == "epoch":
        updates = max(updates, _BATCHES * (last - began.start))
    return bool((momentum or LARGEST_MOMENTUM) ** updates > TRUSTED)


def _by_momentum(layer: BatchNormLayer, clock: Clock) -> Lag:
    if layer.motion is Motion.INITIAL:
        return Lag(1.0, held_until(layer), True, None, layer.momentum, layer.momentum_source, True)
    known = Lag(momentum=layer.momentum, momentum_source=layer.momentum_source)
    if layer.motion is Motion.SNAPSHOT and layer.saved:
        return _of_checkpoint(layer, known)
    if layer.motion is not Motion.MOVING or (layer.wiring and layer.wiring.zero_debias):
        return known
    start = held_until(layer)
    known = dataclasses.replace(
        known, start=start, exact_start=start is not None, from_defaults=start is not None
    )
    if layer.momentum is None or not 0 < layer.momentum < 1 or layer.steps is None:
        return known
    last = clock.updates(layer.steps[1])
    began = clock.updates(start) if start is not None else _began_at(layer, layer.momentum, clock)
    if last is None:
        return known
    if began is None:  # a pretrained network, or one that was warm long before the log begins
        weight = layer.momentum**last if last > 0 else 1.0
        return known if weight > TRUSTED else dataclasses.replace(known, weight=weight)
    if last <= began:
        return known
    return dataclasses.replace(
        known,
        weight=layer.momentum ** (last - began),
        updates=last - began,
        from_defaults=True,
        trusted_from=_trusted_from(layer.momentum, TRUSTED, began, clock),
        seldom=clock.seldom,
    )


def _of_checkpoint(layer: BatchNormLayer, known: Lag) -> Lag:
    """Returns the lag of a layer that one checkpoint shows, by its own count of updates.

    Where the momentum is not known, the largest customary one bounds the weight, and so does the
    least variance. A count that
    leaves more than `TRUSTED` began at 0 and 1 only if no variance is below what is left of the 1:
    else statistics of another training were there before, of which nothing tells.
    """
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    updates, momentum = layer.updates, layer.momentum or LARGEST_MOMENTUM
    if not updates or variance is None or not variance.steps.size or not 0 < momentum < 1:
        return known
    weight = momentum**updates
    if min(weight, _bound(layer, variance)) <= TRUSTED:
        weight = min(weight, TRUSTED)
        return dataclasses.replace(known, weight=weight, updates=updates)
    if layer.momentum is None or variance.minimum[0] < weight * (1 - _ROUNDING):
        return known
    return dataclasses.replace(known, weight=weight, updates=updates, start=0, from_defaults=True)


def _bound(layer: BatchNormLayer, variance: HistogramSeries) -> float:
    """Returns what the initial value's share of the median variance is at most.

    Of a variance above w, all that is left of the initial 1, the least channel bounds w.
    """
    least, median = float(variance.minimum[-1]), float(variance.bands[-1, MEDIAN])
    if layer.momentum is not None or not 0 <= least <= median:
        return math.inf
    return least / min(median, 1.0) if median > 0 else math.inf


_SLOWEST = {Framework.TORCH: 0.99, Framework.KERAS: 0.99}
"""The slowest customary momenta: Keras' default, which PyTorch ports write as 0.01."""


def may_be_young(layer: BatchNormLayer, lag: Lag) -> bool:
    """Returns whether checkpoints count so few updates that a customary momentum would still lag.

    Asked where neither the momentum nor the curves tell what is left of the initial values.
    """
    if not layer.saved or layer.motion is not Motion.MOVING or lag.weight is not None:
        return False
    variance, updates = dict(layer.finite).get(Role.MOVING_VARIANCE), layer.updates
    if variance is None or updates is None or _bound(layer, variance) <= TRUSTED:
        return False
    momentum = _SLOWEST.get(layer.framework, LARGEST_MOMENTUM)
    return float(momentum**updates) > TRUSTED


def is_warm(lag: Lag) -> bool:
    """Returns whether little of the initial values is left, as counted updates tell."""
    return lag.updates is not None and lag.weight is not None and lag.weight <= TRUSTED


def _trusted_from(momentum: float, share: float, began: float, clock: Clock) -> int | None:
    """Returns the step from which the initial value's weight is at most `share`."""
    if clock.updates_per_step is None:
        return None
    needed = math.ceil(math.log(share) / math.log(momentum) - 1e-9)
    return math.ceil(clock.step_of(began + needed) - 1e-9)


def _began_at(layer: BatchNormLayer, momentum: float, clock: Clock) -> float | None:
    """Returns the updates at which an average that is logged later can have been at 0 and 1.

    That is the run's step 0 where the log begins soon after it. Where it begins at step 0 with
    values that have moved, or at global steps of an earlier training, it is one update or one
    logging interval before the first point. None if neither can be: statistics were there before.
    """
    mean, variance = (
        dict(layer.finite).get(role) for role in (Role.MOVING_MEAN, Role.MOVING_VARIANCE)
    )
    if mean is None or variance is None or clock.updates_per_step is None:
        return None
    first, last = (clock.updates(float(mean.steps[at])) for at in (0, -1))
    if first is None or last is None:
        return None
    interval = float(np.median(np.diff(mean.steps.astype(np.float64)))) * clock.updates_per_step
    if not 0 < first <= 2 * interval:
        for before in (1.0, interval):
            if _grew_from(first - before, mean, variance, momentum, first, last, visibly=True):
                return first - before
    return 0.0 if first > 0 and _grew_from(0.0, mean, variance, momentum, first, last) else None


def _grew_from(
    began: float,
    mean: HistogramSeries,
    variance: HistogramSeries,
    momentum: float,
    first: float,
    last: float,
    visibly: bool = False,
) -> bool:
    """Returns whether statistics can have been at 0 and 1 after `began` updates.

    After n updates no variance is below m**n, and means grow like 1 - m**n while that still
    changes; those of a pretrained network are there from the first point.

    Args:
      began: Updates at which they would have been initial.
      mean: Moving mean.
      variance: Moving variance, at the same steps.
      momentum: Weight of the old value per update, m.
      first: Updates at the first point.
      last: Updates at the last point.
      visibly: Whether the growth must be large enough to be seen.
    """
    left = momentum ** (first - began)
    if left >= 1 or variance.minimum[0] < left * (1 - _ROUNDING):
        return False
    expected = math.log((1 - momentum ** (last - began)) / (1 - left))
    size = trajectory.rms(mean)
    if expected < math.log(1.5):
        return left < TRUSTED and not visibly
    return bool(size[0] <= 0 or size[-1] / size[0] > math.exp(expected / 2))


def _against_variance(layer: BatchNormLayer, lag: Lag, clock: Clock) -> Lag:
    """Returns a lag with the initial value's share of what evaluation divides by.

    With the weight w left, a moving variance is w + (1 - w) v on data of variance v, so that the
    initial 1 makes up w / (w + (1 - w) v + epsilon) of it: most of it where v is small, long after
    w itself is. Means lag by w whatever v is. Judged is the median channel.
    """
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    weight, exact = lag.weight, lag.updates is not None or lag.decay is not None
    if weight is None or not exact or not 0 < weight < 1 or lag.refuted is not None:
        return dataclasses.replace(lag, share=weight)
    if variance is None or layer.initial(Role.MOVING_VARIANCE, variance) != 1.0:
        return dataclasses.replace(lag, share=weight)
    divisor = float(np.nan_to_num(variance.bands[-1, MEDIAN]))
    divisor += 0.0 if layer.renorm else layer.epsilon
    if divisor >= 1 or divisor <= 0:
        return dataclasses.replace(lag, share=weight)
    data = max(divisor - weight, 0.0) / (1 - weight)
    target = TRUSTED * data / (1 - TRUSTED + TRUSTED * data)
    return dataclasses.replace(
        lag, share=min(weight / divisor, 1.0), trusted_from=_from_share(layer, lag, target, clock)
    )


def _from_share(layer: BatchNormLayer, lag: Lag, target: float, clock: Clock) -> int | None:
    """Returns the step from which the weight is at most `target`, or None if nobody can tell."""
    if target <= 0 or lag.trusted_from is None or layer.steps is None:
        return None
    if lag.decay is not None:
        return math.ceil(float(lag.start or 0) + math.log(target) / math.log(lag.decay))
    last = clock.updates(layer.steps[1])
    if lag.momentum is None or lag.updates is None or last is None:
        return None
    return _trusted_from(lag.momentum, target, last - lag.updates, clock)
