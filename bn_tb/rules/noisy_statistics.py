"""## What it does
Finds moving statistics that, once warm, still jump from point to point, or whose mean swings to and
fro against its own standard deviation.

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

Swings: the largest channel's moving mean, less a straight line through the second half of the run,
has a standard deviation of more than `swing` = 0.12 of the root of the mean moving variance, and
passes the line `crossings` = 6 times or more by half of that deviation; a drift, however curved,
passes it two or three times. Batches that are random samples of N values move a warm average by
sqrt((1 - m) / (1 + m) / N): with m = 0.9 the limit is reached below N = 4. Batches sorted by class
or domain swing by 0.22 in public reports re-enacted, a counter that stands so that only the last
batch counts by 0.39, healthy twins by 0.05 at most; of 1,000 drawn healthy runs of 4 to 8192 values
a batch none passes the limit (tests/rules/test_rules_property.py).

## Example
    moving_variance  largest channel: 1.1, 2.3, 0.9, 1.8, 1.2 ... noise 38 % of its median

## When it is wrong
Activations that jump themselves: a learning rate far too high, a few points that are far apart.

## How to fix it
Swings: shuffle the examples, mix classes and domains within each batch. Noise: more examples per
device, synchronised batch norm, group norm, or a higher momentum if there are steps enough.
Gradient accumulation does not enlarge the batch that batch norm sees.

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
    "swing": Limit(0.12, "standard deviations of a channel", "0.22 sorted, 0.05 healthy: between"),
    "crossings": Limit(6, "passages of the trend", "a smooth drift has two or three"),
    "points": Limit(12, "points in the second half", "a median of ten second differences"),
}
FIX = (
    "Give batch normalisation more values per channel: larger batches per device, synchronised "
    "batch norm, or group norm for tiny batches. Or raise the momentum if there are steps enough. "
    "Gradient accumulation does not enlarge the batch that the layer sees."
)
SWINGS = (
    "Make every batch a random sample of all training data: shuffle the examples (not only the "
    "order of the batches), mix classes and domains within each batch. If they are shuffled: give "
    "the layer more values per channel (larger batches per device, or a higher weight of the old "
    "value), and see whether the average is one: with PyTorch's momentum=None and a counter that "
    "is reset, or with a weight of 0 for the old value, only the last batch counts."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers whose mean swings, and one for noisy ones."""
    swinging = {
        layer.name: size
        for layer in subject.layers
        if (size := _swing(layer, limits)) > limits["swing"]
    }
    noisy = {
        layer.name: level
        for layer in subject.layers
        if layer.name not in swinging and (level := _noise(layer, limits)) > limits["variance"]
    }
    if swinging:
        worst = max(swinging, key=lambda name: swinging[name])
        yield Evidence(
            message=(
                f"The moving mean of {layers_in_words(list(swinging))} swings to and fro by up to "
                f"{swinging[worst]:.2g} of its own standard deviation: the batches are no random "
                "samples of the data (sorted, or one class or domain at a time), or hold very few "
                "values. Evaluation uses what the last few batches were."
            ),
            proof=(
                f"{worst}: standard deviation of the largest mean around its trend, second half of "
                f"the run, {swinging[worst]:.2f} of the root of the moving variance",
            ),
            fix=SWINGS,
            layers=tuple(swinging),
            confidence=Confidence.LIKELY,
        )
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


def _swing(layer: BatchNormLayer, limits: Mapping[str, float]) -> float:
    """Returns how far the largest mean swings around its trend, in standard deviations."""
    series = dict(layer.finite)
    mean, variance = series.get(Role.MOVING_MEAN), series.get(Role.MOVING_VARIANCE)
    if mean is None or variance is None or layer.motion is not Motion.MOVING:
        return 0.0
    half = mean.steps.size // 2
    if mean.steps.size - half < limits["points"] or variance.steps.size < 2:
        return 0.0
    # From a quarter of the run on: where signals vanish, their old noise is no swing.
    sigma = np.sqrt(variance.mean[variance.steps.size // 4 :].max())
    rest = noise.without_line(mean.steps[half:], mean.maximum[half:])
    size = float(np.std(rest))
    if not size > limits["swing"] * sigma > 0:
        return 0.0
    return size / float(sigma) if noise.crossings(rest, size / 2) >= limits["crossings"] else 0.0


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
