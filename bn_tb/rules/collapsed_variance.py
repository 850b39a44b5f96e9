"""## What it does
Finds layers in which the moving variance of most channels fell below epsilon, after it was higher.

## Why is this bad?
Evaluation divides by sqrt(variance + epsilon). Below epsilon the layer no longer normalises: it
multiplies by 1 / sqrt(epsilon), 32 for Keras' 0.001, what is left of the signal. The channels
carry nothing any more.

## How it is decided
The median channel is below epsilon (from the graph or the Keras configuration, else 1e-3, Keras'
default, or 1e-5, PyTorch's) at the last point, and was above `factor` = 10 times epsilon before.

The fall must be one of the data: the variance kept at least half of its value over a quarter of the
run before, or stood above its initial value, 1, which only data can bring about. A moving
average that merely forgets its initial 1, on data whose variance is tiny from the start, falls by
the same factor in each quarter and is left alone.

## Example
    moving_variance  median 0.4 at steps 100 to 500, 2e-4 at step 900, epsilon 1e-3

## When it is wrong
Inputs that are constant on purpose from some step on, pruned channels.

## How to fix it
Look for what killed the activations: a learning rate too high, weight decay on the kernels before
the layer (they may shrink without limit, as normalisation hides it), constant inputs.

## References
- https://github.com/keras-team/keras/issues/8794
- https://github.com/pytorch/pytorch/issues/5410
"""

from collections.abc import Iterator, Mapping

import numpy as np

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
FIX = (
    "Find what killed the activations before this layer: a learning rate too high, weight decay on "
    "the kernels before the layer (normalisation hides that they shrink), inputs that became "
    "constant. Lower it or take it away, and go back to a checkpoint before the fall."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such layers."""
    found = [
        (layer.name, fall)
        for layer in subject.layers
        if (fall := _fall(layer, limits["factor"])) is not None
    ]
    if not found:
        return
    names = [name for name, _ in found]
    yield Evidence(
        message=(
            f"The moving variance of {layers_in_words(names)} collapsed: most channels fell below "
            "epsilon, so that the layer no longer normalises what is left of the signal."
        ),
        proof=tuple(f"{name}: {line}" for name, (line, _) in found[:3]),
        fix=FIX,
        layers=tuple(names),
        step=min(step for _, (_, step) in found),
    )


def _fall(layer: BatchNormLayer, factor: float) -> tuple[str, int] | None:
    variance = dict(layer.finite).get(Role.MOVING_VARIANCE)
    if variance is None or layer.motion is not Motion.MOVING or variance.steps.size < 4:
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
    meaning=Meaning(Verdict.BROKEN, as_info=True),
)
