"""## What it does
Finds layers whose weights are frozen while their moving statistics go on changing.

## Why is this bad?
Freezing `gamma` and `beta` (`requires_grad=False`, a variable left out of the optimizer) does not
freeze the statistics: they follow the new data while the weights behind them stay. In PyTorch
`model.train()` switches frozen layers back to training mode.

## How it is decided
The layer's own weights (gamma, beta) are logged and bit for bit constant, other weights of the run
change, both statistics move, and far enough to matter: the mean variance by more than
`variance_ratio`, or the mean by more than `mean_shift` standard deviations between first and last
point.

A layer whose batches have no variance at all (BN303) is left out: its gradients are 0, and nobody
froze anything.

Where gamma and beta are exactly 1 and 0 at all points, nobody froze a trained layer: they were
never given to the optimizer, which is said instead, whatever the statistics do.

## Example
    bn1.weight           bit for bit constant, 50 points
    bn1.running_var      mean 0.61 at step 0, 1.16 at step 490
    fc.weight            changes

## When it is wrong
When the statistics are adapted to new data on purpose (AdaBN, update_bn); then no other weight
changes as a rule, and the rule is silent.

## How to fix it
If the layer shall be frozen: PyTorch `bn.eval()` after every `model.train()`; Keras
`layer.trainable = False` before compile. In Keras 3 `fit` overrides a `training=False` in the call
that builds a functional model (tried with 3.15), so that this does not freeze the statistics.

## References
- https://github.com/keras-team/keras/pull/9965
- https://github.com/pytorch/pytorch/issues/66073
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence.figures import apart
from bn_tb.evidence.signal import gets_no_signal
from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.series import FloatArray, IntArray

LIMITS = {
    "variance_ratio": Limit(1.25, "last mean variance / first, or inverse", "catalogue F03"),
    "mean_shift": Limit(0.1, "standard deviations", "failure catalogue F03, heuristic"),
}
FIX = (
    "If the layers shall be frozen, freeze their statistics too. PyTorch: bn.eval() after every "
    "model.train(). Keras: layer.trainable = False before compile; a training=False in the call "
    "that builds the model is overridden by fit in Keras 3. TensorFlow 1: training=False for these "
    "layers. If their statistics shall adapt to new data, ignore this."
)


OPTIMIZER = """\
Make the optimizer when the model is complete, from all of its parameters:

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

A list that is filtered by name or built before the layers were replaced leaves them out. Keras \
and TensorFlow 1: look at the list of variables given to apply_gradients or \
minimize(var_list=...). The statistics are fine: do not freeze them."""


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such layers."""
    moved = set(subject.activity.moved)
    untrained = [layer for layer in subject.layers if moved and _never_trained(layer)]
    if untrained:
        yield _not_in_the_optimizer(subject, untrained)
    found = [
        layer
        for layer in subject.layers
        if moved and layer not in untrained and _moves_frozen(layer, limits)
    ]
    if not found:
        return
    names = [layer.name for layer in found]
    yield Evidence(
        message=(
            f"The weights of {layers_in_words(names)} are frozen, but the moving statistics go "
            "on changing: what is frozen normalises differently from step to step."
        ),
        proof=(
            f"{shortened(next(iter(found[0].weights)))} is bit for bit constant",
            _moves(found[0], limits),
            f"{shortened(subject.activity.moved[0])} changes: the run trains",
        ),
        fix=FIX,
        layers=tuple(names),
    )


def _never_trained(layer: BatchNormLayer) -> bool:
    """Returns whether gamma and beta are exactly 1 and 0 at all points while statistics move."""
    own = [series for series in layer.weights.values() if series.steps.size > 1]
    if layer.motion is not Motion.MOVING or len(own) != 2 or gets_no_signal(layer):
        return False
    one, zero = (
        [bool(trajectory.holds(series, value).all()) for series in own] for value in (1.0, 0.0)
    )
    return (one[0] and zero[1]) or (zero[0] and one[1])


def _not_in_the_optimizer(subject: Subject, layers: list[BatchNormLayer]) -> Evidence:
    names = [layer.name for layer in layers]
    return Evidence(
        message=(
            f"Gamma and beta of {layers_in_words(names)} were never trained: exactly 1 and 0 at "
            "all points, while the moving statistics move and other weights are trained. They "
            "were probably never given to the optimizer."
        ),
        proof=(
            *(f"{shortened(tag)} is bit for bit constant" for tag in layers[0].weights),
            f"{shortened(subject.activity.moved[0])} changes: the run trains",
        ),
        fix=OPTIMIZER,
        layers=tuple(names),
        confidence=Confidence.LIKELY,
    )


def _moves_frozen(layer: BatchNormLayer, limits: Mapping[str, float]) -> bool:
    own = [series for series in layer.weights.values() if series.steps.size > 1]
    if layer.motion is not Motion.MOVING or not own or gets_no_signal(layer):
        return False
    if any(trajectory.changes(series).any() for series in own):
        return False
    return bool(_moves(layer, limits))


def _moves(layer: BatchNormLayer, limits: Mapping[str, float]) -> str:
    """Returns which statistic moved far enough to matter, in words, or an empty string."""
    mean, variance = layer.mean, layer.variance
    if mean is None or variance is None or variance.mean[0] <= 0 or variance.mean[-1] <= 0:
        return ""
    ratio = variance.mean[-1] / variance.mean[0]
    if max(ratio, 1 / ratio) > limits["variance_ratio"]:
        return _line(layer.variance_tag, "on average", variance.steps, variance.mean)
    size = trajectory.rms(mean)
    if abs(size[-1] - size[0]) / np.sqrt(variance.mean[0]) > limits["mean_shift"]:
        return _line(layer.mean_tag, "root mean square", mean.steps, size)
    return ""


def _line(tag: str, what: str, steps: IntArray, values: FloatArray) -> str:
    first, last = apart(values[0], values[-1])
    return f"{shortened(tag)}, {what}: {first} at step {steps[0]}, {last} at step {steps[-1]}"


RULE = Rule("BN108", "moving-while-frozen", Severity.WARNING, check, __doc__ or "", LIMITS)
