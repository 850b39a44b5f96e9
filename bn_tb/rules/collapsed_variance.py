"""## What it does
Finds layers in which the moving variance of most channels fell below epsilon after it was higher,
and layers whose batches never had any variance.

## Why is this bad?
Evaluation divides by sqrt(variance + epsilon). Below epsilon the layer no longer normalises: it
multiplies by 1 / sqrt(epsilon), 32 for Keras' 0.001, what is left of the signal. The channels
carry nothing any more. A batch without variance trains nothing: its normalised value is 0, and so
are the gradients of all that comes before.

## How it is decided
- Collapsed: the median channel is below epsilon (from the graph or the Keras configuration, else
  1e-3, Keras' default, or 1e-5, PyTorch's) at the last point, and was above `factor` = 10 times
  epsilon before. The fall must be one of the data: the variance kept at least half of its value
  over a quarter of the run before, or stood above its initial value, 1, which only data can bring
  about. A moving average that merely forgets its initial 1, on data whose variance is tiny from the
  start, falls by the same factor in each quarter and is left alone.
- Without variance: all channels have the same variance at all points, and it falls from its initial
  value, as 1 * m^n does. Only batches whose every channel has variance 0 do that.
- Tiny: even the largest variance is below epsilon at the last point. That is mere information:
  small inputs and small weights do it too.

## Example
    moving_variance  median 0.4 at steps 100 to 500, 2e-4 at step 900, epsilon 1e-3

## When it is wrong
Inputs that are constant on purpose from some step on, pruned channels.

## How to fix it
Collapsed: look for what killed the activations: a learning rate too high, weight decay on the
kernels before the layer (they may shrink without limit, as normalisation hides it), constant
inputs. Without variance: give the layer more than one value per channel: a larger batch, or layer
or group norm for batches of one; a dense layer has one value per example and channel.

## References
- https://github.com/keras-team/keras/issues/8794
- https://github.com/pytorch/pytorch/issues/5410
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence.figures import apart
from bn_tb.evidence.signal import gets_no_signal
from bn_tb.layers import INITIAL, BatchNormLayer, Motion
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict
from bn_tb.runs.series import MEDIAN
from bn_tb.runs.tags import Role

LIMITS = {
    "factor": Limit(10, "epsilons", "a variance well above epsilon is one the layer divides by"),
}
_FEW = 4  # points; fewer are no course

FIX = (
    "Find what killed the activations before this layer: a learning rate too high, weight decay on "
    "the kernels before the layer (normalisation hides that they shrink), inputs that became "
    "constant. Lower it or take it away, and go back to a checkpoint before the fall."
)


NO_SIGNAL = (
    "Give the layer more than one value per channel: a larger batch (a dense layer has one value "
    "per example and channel), or layer or group norm where batches of one are wanted. If batches "
    "are large, look at what feeds the layer: it is constant."
)
TINY = (
    "Nothing, if inputs and weights are meant to be that small; else scale the inputs, or use a "
    "smaller epsilon."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for each way to have no variance."""
    empty = [layer for layer in subject.layers if gets_no_signal(layer)]
    rest = [layer for layer in subject.layers if layer not in empty]
    falls = {layer.name: _fall(layer, limits["factor"]) for layer in rest}
    tiny = [layer for layer in rest if falls[layer.name] is None and _tiny(layer)]
    yield from _evidence(
        {layer.name: _ends(layer) for layer in empty},
        "is 0 in every batch and every channel: batches have one value per channel, or the input "
        "is constant. The layers before it get no gradient",
        NO_SIGNAL,
    )
    yield from _evidence(
        {name: fall for name, fall in falls.items() if fall is not None},
        "collapsed: most channels fell below epsilon, so that the layer no longer normalises what "
        "is left of the signal",
        FIX,
    )
    yield from _evidence(
        {layer.name: _ends(layer) for layer in tiny},
        "is below epsilon in every channel: the layer hardly normalises",
        TINY,
        Severity.INFO,
    )


def _evidence(
    found: Mapping[str, tuple[str, int]], what: str, fix: str, severity: Severity | None = None
) -> Iterator[Evidence]:
    if found:
        yield Evidence(
            message=f"The moving variance of {layers_in_words(list(found))} {what}.",
            proof=tuple(f"{name}: {line}" for name, (line, _) in list(found.items())[:3]),
            fix=fix,
            layers=tuple(found),
            step=min(step for _, step in found.values()),
            severity=severity,
        )


def _tiny(layer: BatchNormLayer) -> bool:
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion is not Motion.MOVING or variance.steps.size < _FEW:
        return False
    return bool(0 <= variance.maximum[-1] < layer.epsilon)


def _ends(layer: BatchNormLayer) -> tuple[str, int]:
    series = dict(layer.finite)[Role.MOVING_VARIANCE]
    largest, steps = series.maximum, series.steps
    first, last = apart(largest[0], largest[-1])
    ends = f"{first} at step {steps[0]}, {last} at step {steps[-1]}"
    if first == last:
        ends = f"{first} at steps {steps[0]} and {steps[-1]}"
    return f"largest {ends}, epsilon {layer.epsilon:g}", int(steps[-1])


def _fall(layer: BatchNormLayer, factor: float) -> tuple[str, int] | None:
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion is not Motion.MOVING or variance.steps.size < _FEW:
        return None
    epsilon, level = layer.epsilon, variance.bands[:, MEDIAN].astype(float)
    if not level[-1] < epsilon or not (level > factor * epsilon).any():
        return None
    quarter = max(level.size // 4, 1)
    before, after = level[:-quarter], level[quarter:]
    kept = (before > factor * epsilon) & (after > before / 2)
    kept |= (before > 1.1 * INITIAL[Role.MOVING_VARIANCE]) & (factor * epsilon < 1)
    if not kept.any():
        return None
    at = int(np.flatnonzero(level >= epsilon)[-1]) + 1
    line = (
        f"median {level[int(kept.argmax())]:.3g} before, {level[-1]:.3g} at step "
        f"{variance.steps[-1]}, epsilon {epsilon:g}"
    )
    return line, int(variance.steps[at])


RULE = Rule(
    "BN303",
    "collapsed-variance",
    Severity.WARNING,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.BROKEN),
    covers=("BN105",),  # inputs of nothing but 0 have the mean 0, as it began
)
