"""## What it does
Finds layers whose moving statistics are still in part their initial values at the last step,
because the momentum is too high for the number of updates.

## Why is this bad?
The moving average starts at mean 0 and variance 1 and forgets them by a factor of the momentum per
update. Until they are forgotten, evaluation normalises with a mixture of the initial values and the
data's: it can be at chance while training is good, and it seems to heal by itself later.

## How it is decided
With momentum m (weight of the old value) and n updates the initial value has the weight m^n.

- m comes from the graph, the Keras configuration or `--momentum`;
- n counts from the last logged step at which both statistics held their initial values, or from the
  run's step 0 if the first logged point agrees with a start from 0 and 1 there: the moving means
  grow like 1 - m^n, and no variance is below m^n. A log that begins at step 0 with values that have
  moved, or at a later global step, began one update or one logging interval before its first point
  if the same holds from there; else the statistics were there before (a pretrained network), and
  nothing is said;
- steps are updates, unless they are Keras epochs (then iterations per epoch come from
  `evaluation_*_vs_iterations` of the validation run), `num_batches_tracked` is logged, or the
  statistics rest again and again: then each point that differs from the one before is an update (or
  each step of longer phases of movement). Where points are as rare as the updates, the shape of the
  curves replaces m^n if it shows 3 times as much.

As batch variances are not negative, every channel's moving variance is at least m^n. A smaller one
anywhere refutes m or n, and bounds the share instead. Where m or n is unknown the share is
estimated from the curves, and reported as likely: the curves of some layer must agree on a rise
like 1 - d^n with one decay d per step, or the smallest variance must fall like d^n from the first
point to the last. The estimator, its assumptions and its error are described in
`bn_tb/evidence/curve.py`.
On synthetic averages, also of drifting data, half of the estimates are within 0.02 of the truth and
nine of ten within 0.06, no healthy run of 1666 is called lagging, and 88 % of the lagging ones are
found. Where the curves move in another way the share is unknown and the rule silent.

The weight counts against the variance v that is stored: the initial 1 makes up m^n / (v + epsilon)
of what evaluation divides by, where v is the median channel's variance of the layer. Where
variances are small (0.003 in the first layer of a net on MNIST) that is most of it long after m^n
is small: with momentum 0.99 such a net is at 63 % in evaluation after 400 updates and at 97 % after
500, although 0.99^400 = 2 % (BUILD.md, Training; docs/studies.md, study 3). Means lag by m^n, so
the share is never taken for less than m^n.

Warning above `lagging` = 5 % (three time constants), error above `stale` = 37 % (one time constant:
more than a third of the statistics is still the initial value).

## Example
    momentum 0.999, 500 updates: 0.999^500 = 61 % initial value left
    5 % are reached after ln(0.05) / ln(0.999) = 2995 updates

## When it is wrong
Where steps are epochs or samples and nothing in the log tells so, n is wrong: pass
`--updates_per_step`. Averages that are corrected for their start (zero_debias) never lag; they are
recognised by the `biased` and `local_step` variables in the graph.

## How to fix it
Run the updates in every training step, use a momentum below 0.05^(1/n), train longer, or estimate
the statistics by `bn_tb.recalibrate` before evaluating (precise BN). PyTorch counts the other way
round: its momentum is 1 - m.

Batch renormalisation (`renorm=True`) trains on averages of its own, which lag by `renorm_momentum`.
Where both momenta are equal, evaluation computes what training did: then it is a warning at most,
and statistics of batches would not fit the weights. Else copy its averages into the statistics.
Measured on 60 updates with 0.999 and 0.999: 94 % right in both modes, 56 % with statistics of
batches; on 200 updates with 0.999 and 0.9: 48 % in evaluation, 100 % with the averages copied.

## References
- https://github.com/keras-team/keras/issues/7177
- https://github.com/tensorflow/tensorflow/issues/1122
- https://github.com/keras-team/keras/pull/9003
"""

import enum
import math
from collections.abc import Container, Iterable, Iterator, Mapping

from bn_tb.evidence.lag import TRUSTED, Lag
from bn_tb.layers import BatchNormLayer, Framework
from bn_tb.rules import _fixes
from bn_tb.rules._words import count, layers_in_words, percent
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict

LIMITS = {
    "lagging": Limit(
        TRUSTED, "share of the initial value at the last step", "three time constants: e^-3"
    ),
    "stale": Limit(0.37, "share of the initial value at the last step", "one time constant: e^-1"),
}


COPY_FIX = (
    "These layers belong to a copy that averages the network, and lag by the decay of that "
    "averaging, not by the momentum of batch norm. Use a lower decay for this many steps, or "
    "one that warms up, min(decay, (1 + step) / (10 + step)); or copy the statistics instead of "
    "averaging them."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per group of layers with the same share."""
    groups: dict[tuple[float | None, ...], list[tuple[BatchNormLayer, Lag]]] = {}
    for layer, lag in zip(subject.layers, subject.lags, strict=True):
        known = lag.updates is not None or lag.decay is not None
        if known and lag.from_defaults and (lag.share or 0.0) > limits["lagging"]:
            groups.setdefault((lag.momentum, lag.updates, lag.decay), []).append((layer, lag))
    copied = subject.copies
    for group in _apart(groups.values(), copied):
        worst = max((lag for _, lag in group), key=lambda lag: lag.share or 0.0)
        yield _evidence(
            [layer for layer, _ in group],
            worst,
            subject.clock.unit,
            limits,
            group[0][0].name in copied,
        )


_Group = list[tuple[BatchNormLayer, Lag]]


def _apart(groups: Iterable[_Group], copied: Container[str]) -> Iterator[_Group]:
    """Yields groups without layers of copies, and those of copies apart."""
    for group in groups:
        for of_copy in (False, True):
            if some := [one for one in group if (one[0].name in copied) == of_copy]:
                yield some


def _evidence(
    layers: list[BatchNormLayer], lag: Lag, unit: str, limits: Mapping[str, float], is_copy: bool
) -> Evidence:
    weight, share = lag.weight or 0.0, lag.share or 0.0
    last = max(layer.steps[1] for layer in layers if layer.steps)
    when, proof = _by_momentum(lag, last) if lag.updates else _by_curve(lag, last, unit, is_copy)
    if share > weight:
        proof += (
            f"variances are small: the initial 1 still makes up {percent(share)} of what "
            "evaluation divides by",
        )
    renorm = _renorm(layers)
    average = "standard deviation" if layers[0].renorm else "variance"
    if lag.trusted_from is not None:
        proof += (f"its share falls to {percent(TRUSTED)} at {unit} {lag.trusted_from}",)
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} lag "
            f"behind: {when}, {_left(weight, share, average)}. {_WITH_MIXTURE[renorm]}"
        ),
        proof=proof,
        fix=COPY_FIX if is_copy else _fix(layers, lag, limits["lagging"]),
        layers=tuple(layer.name for layer in layers),
        step=last,
        severity=Severity.ERROR
        if share > limits["stale"] and renorm is not _Renorm.AGREES
        else Severity.WARNING,
        confidence=Confidence.CONFIRMED if lag.exact_start and lag.updates else Confidence.LIKELY,
    )


def _left(weight: float, share: float, average: str) -> str:
    if weight <= TRUSTED < share:
        return (
            f"up to {percent(share)} of the {average} that is stored is still its initial value, "
            f"1, which has {percent(weight)} of the weight"
        )
    return f"{percent(weight)} of them is still their initial value (mean 0, variance 1)"


def _by_momentum(lag: Lag, last: int) -> tuple[str, tuple[str, ...]]:
    source = _SOURCES.get(lag.momentum_source or "", "log")
    updates, momentum = lag.updates or 0.0, lag.momentum or 0.0
    return f"after {count(updates, 'update')} with momentum {momentum:g}", (
        f"{percent(lag.weight or 0.0)} = {momentum:g}^{updates:.0f}: momentum from the {source}, "
        f"{count(updates, 'update')} from step {lag.start or 0} to step {last}",
    )


def _by_curve(lag: Lag, last: int, unit: str, is_copy: bool) -> tuple[str, tuple[str, ...]]:
    if is_copy:
        return f"at {unit} {last}", (
            f"the copy goes {1 - (lag.decay or 0):.3g} of its way to the original per {unit}: a "
            f"decay of {lag.decay:.4g}, of which {percent(lag.weight or 0.0)} are left since "
            f"{unit} {lag.start}",
        )
    known = "the momentum is not in the log"
    if lag.seldom:
        known = f"momentum {lag.momentum or 0:g} and an update a step would leave less"
    elif lag.momentum:
        known = f"the log tells the momentum, {lag.momentum:g}, but not the updates of an {unit}"
    return f"at {unit} {last}", (
        f"{known}; the curves rise like 1 - {lag.decay:.4g}^n in {unit}s, and no variance is below "
        f"{percent(lag.weight or 0.0)} of its initial value",
    )


class _Renorm(enum.Enum):
    """Whether batch renormalisation trained on the same mixture as evaluation normalises with."""

    NONE = "no batch renormalisation"
    AGREES = "averages of the same momentum"
    APART = "averages of another momentum, or of an unknown one"


def _renorm(layers: list[BatchNormLayer]) -> _Renorm:
    if not _fixes.renormalise(layers):
        return _Renorm.NONE
    same = all(one.wiring and one.momentum == one.wiring.renorm_momentum for one in layers)
    return _Renorm.AGREES if same else _Renorm.APART


_WITH_MIXTURE = {
    _Renorm.NONE: "Evaluation normalises with this mixture.",
    _Renorm.AGREES: "Evaluation normalises with this mixture, and so does training: batch "
    "renormalisation corrects its batches to averages of the same momentum.",
    _Renorm.APART: "Evaluation normalises with this mixture, training with other averages, those "
    "of batch renormalisation (renorm_mean, renorm_stddev).",
}
_RENORM_FIX = {
    _Renorm.AGREES: """ There is nothing to fill in: the weights fit the statistics as they stand, \
and evaluation computes what training did.""",
    _Renorm.APART: """ The weights fit the averages of batch renormalisation: before evaluating, \
copy them into the moving statistics. In a session of TensorFlow 1:

    named = {v.op.name: v for v in tf.global_variables()}
    for name in named:
        if name.endswith("/renorm_mean"):
            layer = name[: -len("renorm_mean")]
            variance = named[layer + "renorm_stddev"] ** 2 - EPSILON
            session.run([
                named[layer + "moving_mean"].assign(named[name]),
                named[layer + "moving_variance"].assign(variance)])

with a Keras model:

    for layer in model.layers:
        if getattr(layer, "renorm", False):
            variance = layer.renorm_stddev ** 2 - layer.epsilon
            layer.moving_mean.assign(layer.renorm_mean)
            layer.moving_variance.assign(variance)""",
}
"""What takes the place of filling in the statistics."""

_SOURCES = {"graph": "graph", "keras_config": "Keras configuration", "flag": "command line"}


def _fix(layers: list[BatchNormLayer], lag: Lag, limit: float) -> str:
    framework = _fixes.framework_of(layers)
    torch = framework is Framework.TORCH
    change = "Use a higher momentum" if torch else "Use a lower momentum"
    renorm, updates = _renorm(layers), _updates(lag)
    value = 0.9
    if updates:
        better = _weight_of(limit, lag) ** (1 / updates)
        value = _customary(better)
        bound = f"above {1 - better:.3g}" if torch else f"below {better:.3g}"
        change += f", {bound} for this many updates"
    change += " (PyTorch's is the weight of the new value)" if torch else ""
    code = _fixes.momentum(framework, value, renorm is not _Renorm.NONE)
    change += f", for example\n\n    {code}\n\nor train longer."
    if lag.seldom:
        change = (
            "The statistics are not updated in every training step. "
            f"{_fixes.updates(layers)}\n\nOr {change[0].lower()}{change[1:]}"
        )
    if renorm is not _Renorm.NONE:
        return change + _RENORM_FIX[renorm].replace("EPSILON", f"{layers[0].epsilon:g}")
    return (
        f"{change} The weights are good: {_fixes.RECALIBRATE[framework]} estimates the "
        "statistics from some training batches."
    )


def _updates(lag: Lag) -> float | None:
    """Returns the updates that are known, or that explain what is left of the initial values."""
    if lag.updates or not lag.momentum or not lag.weight or not 0 < lag.weight < 1:
        return lag.updates
    return math.log(lag.weight) / math.log(lag.momentum)


def _weight_of(share: float, lag: Lag) -> float:
    """Returns the weight of the initial value at which its share of the variance is `share`."""
    weight, now = lag.weight or 0.0, lag.share or 0.0
    if not 0 < weight < now:
        return share
    data = (weight / now - weight) / (1 - weight)  # variance of the data, from what is stored
    return max(share * data / (1 - share + share * data), 1e-12)


def _customary(limit: float) -> float:
    """Returns the largest customary momentum below a limit."""
    return next((m for m in (0.99, 0.95, 0.9, 0.8, 0.5) if m < limit), limit / 2)


RULE = Rule(
    "BN201",
    "lagging-statistics",
    Severity.WARNING,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.LAGGING),
)
