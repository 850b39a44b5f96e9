"""## What it does
Says from which step on evaluations of a healthy run could be trusted.

## Why is this bad?
It is a fact to know when reading the curves: evaluations before that step measured mostly the
initial values of the moving statistics, not the network. Early stopping, learning-rate schedules on
plateaus and "best checkpoint" rules that look at them decide on noise.

## How it is decided
The statistics began at their initial values and are warm at the last step (BN201 is silent). With
momentum m the share of the initial values falls to 5 % after n = ln(0.05) / ln(m) updates: 29 for
0.9, 299 for 0.99, 2995 for 0.999. Reported if an evaluation was logged before that step, or, where
no evaluation is logged, if that step is later than `late` = 10 % of the run.

What 5 % of an initial variance of 1 means depends on the data's variance v: the stored variance is
w + (1 - w) v after n updates with w = m^n. Where the median v of a layer is small, w must fall to
0.05 v / (0.95 + 0.05 v) before the initial value is 5 % of what is stored, and the step named is
that later one. Of the layers of a run the slowest counts; where one still lags, BN201 is said
alone.

## Example
    momentum 0.99: evaluations before step 299 measured mostly the initial values

## When it is wrong
Where one step is not one update; see BN201.

## How to fix it
Nothing needs a repair. To trust evaluations earlier use a lower momentum (0.9), or ignore the
evaluations before the step named.

## References
- https://github.com/keras-team/keras/issues/7177
- https://github.com/keras-team/keras/issues/10666
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.lag import TRUSTED, Lag
from bn_tb.layers import BatchNormLayer
from bn_tb.rules._words import count, layers_in_words, percent
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity

LIMITS = {
    "late": Limit(0.1, "share of the run's steps", "earlier steps are rarely evaluated"),
}


CUSTOMARY = 0.9
"""The lowest momentum of common use, PyTorch's default: weight of the old value."""


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers, with the step at which the last one is warm."""
    warmed = [
        (layer, lag)
        for layer, lag in zip(subject.layers, subject.lags, strict=True)
        if lag.trusted_from is not None and _warmed_up(layer, lag)
    ]
    if not warmed or subject.found.of("BN201"):
        return
    _, slowest = max(warmed, key=lambda pair: pair[1].trusted_from or 0)
    layers = [layer for layer, _ in warmed]
    last = max(layer.steps[1] for layer in layers if layer.steps)
    trusted_from = slowest.trusted_from or 0
    if _matters(subject, trusted_from, last, limits):
        yield _evidence(layers, slowest, trusted_from, subject.clock.unit)


def _warmed_up(layer: BatchNormLayer, lag: Lag) -> bool:
    """Returns whether the cold start is in this log and over."""
    return (
        lag.from_defaults
        and lag.refuted is None
        and lag.share is not None
        and lag.share <= TRUSTED
        and layer.steps is not None
        and (lag.trusted_from or 0) > layer.steps[0]
    )


def _matters(subject: Subject, trusted_from: int, last: int, limits: Mapping[str, float]) -> bool:
    evaluated = [
        int(metric.series.steps[0])
        for other in subject.experiment
        for metric in other.metrics
        if metric.phase == "eval" and metric.series.steps.size
    ]
    if evaluated:
        return min(evaluated) < trusted_from
    return trusted_from > limits["late"] * last


def _evidence(layers: list[BatchNormLayer], lag: Lag, trusted_from: int, unit: str) -> Evidence:
    proof = [f"{_decay(lag)}: {percent(lag.weight or 0.0)} are left at the last {unit}"]
    if lag.seldom and lag.updates:
        proof.append(f"the statistics change at {count(lag.updates, 'step')} of the log only")
    if (lag.share or 0.0) > (lag.weight or 0.0):
        proof.append(
            f"variances are small: the initial 1 is down to {percent(TRUSTED)} of what evaluation "
            f"divides by at {unit} {trusted_from}, and to {percent(lag.share or 0.0)} at the last"
        )
    return Evidence(
        message=(
            f"Evaluations before {unit} {trusted_from} measured mostly the initial values of the "
            f"moving statistics of {layers_in_words([layer.name for layer in layers])}: a cold "
            f"start. From there on at most {percent(TRUSTED)} of the initial values is left, and "
            "evaluations can be trusted."
        ),
        proof=tuple(proof),
        fix=f"Nothing is broken. Ignore evaluations before {unit} {trusted_from}{_faster(lag)}.",
        layers=tuple(layer.name for layer in layers),
        step=trusted_from,
    )


def _faster(lag: Lag) -> str:
    if lag.momentum is not None and lag.momentum <= CUSTOMARY:
        return ""
    return f", or use a lower momentum ({CUSTOMARY}; PyTorch: 0.1) to trust them earlier"


def _decay(lag: Lag) -> str:
    if lag.momentum is None:
        return f"decay {lag.decay or 0:.4g} per step, from the curves"
    return f"momentum {lag.momentum:g}"


RULE = Rule("BN202", "cold-start", Severity.INFO, check, __doc__ or "", LIMITS)
