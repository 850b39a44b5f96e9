"""## What it does
Finds moving statistics that, once warm, still jump from point to point.

## Why is this bad?
Evaluation depends on the step at which it happens to be made: metrics flicker, and the best
checkpoint is chosen by luck. The batches per device are too small for their number of values per
channel, or the momentum is too low.

## How it is decided
Judged is the second half of the curves, with `points` = 12 or more points there. The noise is the
standard deviation around the line between neighbours (1.48 times the median absolute second
difference times sqrt(2/3)) of the logarithm of the variance: relative to the variance, and not
raised by a steady drift, nor by the exponential fall of an average whose batches lost theirs. It is
taken of the largest channel's variance, as an average over channels hides the noise of single ones.
Noisy is more than `variance` = 0.2 in both the largest channel and the mean over channels times the
root of the number of channels.

In theory the noise of a warm average is sd(batch) * sqrt((1 - m) / (1 + m)), and the variance of N
normal values has sd(batch) = sqrt(2 / (N - 1)): with m = 0.9 the limit is reached below N = 4
values per channel, with m = 0.01 below N = 50.

## Example
    moving_variance  largest channel: 1.1, 2.3, 0.9, 1.8, 1.2 ... noise 38 % of its median

## When it is wrong
Activations that jump themselves: a learning rate far too high, a few points that are far apart.

## How to fix it
More examples per device, synchronised batch norm, group norm, or a higher momentum if there are
steps enough. Gradient accumulation does not enlarge the batch that batch norm sees.

## References
- https://github.com/dbolya/yolact/issues/325
- https://github.com/andreped/GradientAccumulator/issues/6
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence import noise
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.tags import Role

LIMITS = {
    "variance": Limit(
        0.2, "noise of the logarithm of a channel's variance", "failure catalogue F12"
    ),
    "points": Limit(12, "points in the second half", "a median of ten second differences"),
}
FIX = (
    "Give batch normalisation more values per channel: larger batches per device, synchronised "
    "batch norm, or group norm for tiny batches. Or raise the momentum if there are steps enough. "
    "Gradient accumulation does not enlarge the batch that the layer sees."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all noisy layers."""
    noisy = {
        layer.name: level
        for layer in subject.layers
        if (level := _noise(layer, limits)) > limits["variance"]
    }
    if not noisy:
        return
    worst = max(noisy, key=lambda name: noisy[name])
    yield Evidence(
        message=(
            f"The moving statistics of {layers_in_words(list(noisy))} jump from point to point: "
            f"the noise of a channel's variance is up to {noisy[worst]:.0%} of its value. "
            "Evaluation depends on the step at which it is made."
        ),
        proof=(f"{worst}: relative noise {noisy[worst]:.2f} in the second half of the run",),
        fix=FIX,
        layers=tuple(noisy),
        confidence=Confidence.LIKELY,
    )


def _noise(layer: BatchNormLayer, limits: Mapping[str, float]) -> float:
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion is not Motion.MOVING:
        return 0.0
    half = variance.steps.size // 2
    if variance.steps.size - half < limits["points"]:
        return 0.0
    largest, mean = variance.maximum[half:], variance.mean[half:]
    if not (largest > 0).all() or not (mean > 0).all():
        return 0.0
    largest, mean = np.log(largest), np.log(mean)
    if noise.jitter_bound(largest) < limits["variance"]:
        return 0.0
    channels = float(np.median(variance.count[half:]))
    return float(min(noise.jitter(largest), noise.jitter(mean) * np.sqrt(max(channels, 1))))


RULE = Rule("BN204", "noisy-statistics", Severity.WARNING, check, __doc__ or "", LIMITS)
