"""## What it does
Finds moving statistics that keep less than half of their old value per update.

## Why is this bad?
They are little more than the statistics of the last batch. TensorFlow, Keras and Flax call momentum
the weight of the old value (0.99), PyTorch that of the new one (0.01): a value carried from one to
the other without 1 - m gives such statistics, and evaluation depends on the last training batch.

## How it is decided
- The graph, the Keras configuration or `--momentum` says a momentum in (0, `lowest` = 0.5); 0 and 1
  are chosen on purpose (MAML) and left alone.
- Where nothing says it: from the noise of the second half of the curves, logged at every step (24
  points or more, steps that are updates). Averages of independent batches are an autoregressive
  process whose neighbours correlate by m; m = D2 / D1 - 1, with Dk the mean square of differences k
  points apart. A drift only raises the estimate. The median over all curves must be below
  `measured` = 0.35, that is 0.5 less the standard error of a correlation of 40 points; D3 must
  agree, in most curves of most layers. Reported as likely.

## Example
    AssignMovingAvg/decay: 0.99      momentum 0.01
    nn.BatchNorm2d(64, momentum=0.99)

## When it is wrong
Statistics that are logged at every step, where a step is an epoch and no name tells so: batches
between two points decorrelate any momentum. Epochs that take less than a second and are logged
under other names than Keras' are the only such case.

## How to fix it
Write 1 - m when you carry a momentum between frameworks.

## References
- https://github.com/pytorch/examples/issues/289
- https://github.com/affinelayer/pix2pix-tensorflow/issues/126
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence import noise
from bn_tb.evidence.clock import Clock
from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.rules import _fixes
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.tags import Role

LIMITS = {
    "lowest": Limit(0.5, "weight of the old value per update", "half of it is the last batch"),
    "measured": Limit(0.35, "correlation of neighbours", "0.5 less the error of 40 points"),
}
_LONGEST_STEP = 1.0  # seconds; longer ones may be epochs


_SOURCES = {
    "graph": ", from the graph",
    "keras_config": ", from the Keras configuration",
    "flag": ", from the command line",
    "monitor": ", as the monitor logged it",
}


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per momentum."""
    told: dict[float, list[BatchNormLayer]] = {}
    logged = any(layer.statistics for layer in subject.layers)
    for layer, lag in zip(subject.layers, subject.lags, strict=True):
        low = lag.momentum is not None and 0 < lag.momentum < limits["lowest"]
        if low and (layer.motion is Motion.MOVING or not logged):
            told.setdefault(lag.momentum or 0.0, []).append(layer)
    for momentum, layers in told.items():
        source = next(lag.momentum_source for lag in subject.lags if lag.momentum == momentum)
        yield _evidence(
            layers, momentum, f"momentum {momentum:g}{_SOURCES.get(source or '', '')}", True
        )
    unknown = [layer for layer in subject.layers if layer.momentum is None]
    measured = {
        layer.name: found for layer in unknown if (found := _measured(layer, subject.clock))
    }
    moving = sum(layer.motion is Motion.MOVING for layer in unknown)
    typical = float(np.median(np.concatenate([*measured.values()]))) if measured else 1.0
    # Momentum is one number in a network: what most layers do not show is noise.
    if 2 * len(measured) >= moving and typical < limits["measured"]:
        yield _evidence(
            [layer for layer in unknown if layer.name in measured],
            max(typical, 0.0),
            f"neighbouring points correlate by {typical:.2f}, as with a momentum of this size",
            False,
        )


def _measured(layer: BatchNormLayer, clock: Clock) -> list[float]:
    """Returns the momenta that the noise in the second half of the curves shows, if it does."""
    series = dict(layer.finite)
    mean, variance = series.get(Role.MOVING_MEAN), series.get(Role.MOVING_VARIANCE)
    if layer.motion is not Motion.MOVING or mean is None or variance is None:
        return []
    if clock.unit != "step" or clock.updates_per_step is None:
        return []
    if not np.array_equal(mean.steps, variance.steps) or clock.updates_per_step > 1.5:
        return []
    half = np.arange(mean.steps.size // 2, mean.steps.size)
    if half.size < noise.FEWEST or mean.steps[-1] - mean.steps[half[0]] != half.size - 1:
        return []
    mean, variance = trajectory.take(mean, half), trajectory.take(variance, half)
    if float(np.median(np.diff(mean.wall_times))) > _LONGEST_STEP and not clock.source:
        return []
    return noise.momenta_of(mean, variance)


def _evidence(layers: list[BatchNormLayer], momentum: float, line: str, told: bool) -> Evidence:
    framework = _fixes.framework_of(layers)
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} keep "
            f"only {momentum:.2g} of their old value per update: they are those of the last batch. "
            "TensorFlow's momentum 0.99 is PyTorch's 0.01; was it carried over without 1 - m?"
        ),
        proof=(line,),
        fix=f"Use a momentum that averages many batches:\n\n    {_fixes.momentum(framework, 0.9)}",
        layers=tuple(layer.name for layer in layers),
        confidence=Confidence.CONFIRMED if told else Confidence.LIKELY,
    )


RULE = Rule(
    "BN203",
    "low-momentum",
    Severity.WARNING,
    check,
    __doc__ or "",
    LIMITS,
    covers=("BN204",),
)
