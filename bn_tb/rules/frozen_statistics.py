"""## What it does
Names layers whose moving statistics are constant at other values than the initial ones.

## Why is this bad?
Usually it is not: freezing the statistics of a pretrained network is the recommended way to
fine-tune it. It is a fault where the data differ from those of the pretraining and the layer
normalises training batches with their own statistics: then evaluation sees another network.

## How it is decided
Both statistics are logged at two or more different steps and are bit for bit constant, at values
other than the initial ones. The severity is info; it is warning where a metric is good on training
data and bad on evaluation data: apart by more than `gap` = 0.2, or a loss that fell below `fell` =
0.7 of its first value in training and is more than `worse` = 2 times that in evaluation, and there
no lower than `stuck` = 0.9 of the first one, as on BN501's page. Layers of which a graph shows
inference mode in training, or the Keras configuration `trainable: false`, are information even
then: training and evaluation see the same layer.

Update ops of such layers that nothing runs (BN401, BN402, BN404) are not told where the optimizer
does not train gamma and beta: they are frozen on purpose.

Statistics of exactly 0 and 1 beside a gamma and beta that are constant at other values, while the
rest of the network is trained, are said as folded: a converted FrozenBatchNorm.

## Example
    moving_mean      steps 0..9: minimum -1.31, maximum 0.97 at every point
    moving_variance  steps 0..9: minimum 0.02, maximum 3.1 at every point

## When it is wrong
A run that only evaluates one checkpoint again and again shows constant statistics too; the message
says so when weights are logged that do not change.

## How to fix it
Nothing, if you froze the layers and evaluation is as good as training. Otherwise unfreeze them
(TensorFlow 1: `training=True` and the updates; Keras: `layer.trainable = True` before `compile`;
PyTorch: `model.train()`), or make training use the frozen statistics too (TensorFlow 1:
`training=False`; Keras: `layer.trainable = False` before `compile`; PyTorch: `bn.eval()`).

## References
- https://keras.io/guides/transfer_learning/
- http://blog.datumbox.com/the-batch-normalization-layer-of-keras-is-broken/
"""

import itertools
from collections.abc import Iterator, Mapping

from bn_tb.evidence.figures import between
from bn_tb.evidence.folded import is_folded
from bn_tb.layers import BatchNormLayer, Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._gap import GAP_LIMITS
from bn_tb.rules._words import count, layers_in_words, shortened, span
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict

_UNFREEZE = {
    Framework.TF1: "training=True, and their updates run with the train op",
    Framework.KERAS: "layer.trainable = True before compile",
    Framework.TORCH: "model.train()",
    Framework.JAX: "use_running_average=False",
}
_USE = {
    Framework.TF1: "training=False for these layers",
    Framework.KERAS: "layer.trainable = False before compile",
    Framework.TORCH: "bn.eval() after every model.train()",
    Framework.JAX: "use_running_average=True",
}
FIX = (
    "Nothing, if the layers are frozen on purpose and evaluation is as good as training. Otherwise "
    "unfreeze them ({unfreeze}), or use the frozen statistics in training too ({use})."
)
AGREE = "Nothing, if the layers are frozen on purpose. Otherwise unfreeze them ({unfreeze})."


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all frozen layers."""
    folded = [layer for layer in subject.layers if is_folded(layer)]
    if folded and subject.activity.moved:
        yield _folded(folded)
    frozen = [layer for layer in subject.layers if layer.motion is Motion.CONSTANT]
    gap = subject.gap(limits) is not None
    for agree in (False, True):
        if layers := [layer for layer in frozen if _in_training_too(subject, layer) == agree]:
            yield _frozen(subject, layers, agree, gap and not agree)


def _in_training_too(subject: Subject, layer: BatchNormLayer) -> bool:
    """Returns whether training normalises with them: a graph that trains or Keras shows it."""
    wiring = layer.wiring
    if wiring is None or subject.graph is None:
        return False
    of_training = subject.graph.trains or wiring.keras
    return wiring.trainable is False or (wiring.training is False and of_training)


def _frozen(subject: Subject, layers: list[BatchNormLayer], agree: bool, gap: bool) -> Evidence:
    last = max(layer.steps[1] for layer in layers if layer.steps)
    others = "; the weights that are logged do not change either: nothing was trained"
    still = subject.activity.weights_stand_still
    too = " Training normalises with them too, so evaluation sees the layers as training does."
    part = " Training and evaluation part, which they may explain."
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} are "
            f"frozen: constant, at other values than the initial ones{others if still else ''}."
            f"{too if agree and not still else ''}{part if gap else ''}"
        ),
        proof=tuple(
            f"{role.value} of {layers[0].name}: {between(series.minimum[0], series.maximum[0])} "
            f"at {count(series.steps.size, 'point')}, {span(series.steps)}"
            for role, series in layers[0].finite
        ),
        fix=(AGREE if agree else FIX).format(
            unfreeze=_code(_UNFREEZE, layers), use=_code(_USE, layers)
        ),
        layers=tuple(layer.name for layer in layers),
        step=last,
        severity=Severity.WARNING if gap else None,
    )


def _code(by_framework: Mapping[Framework, str], layers: list[BatchNormLayer]) -> str:
    """Returns the code of the layers' framework; of unknown ones that of Keras and PyTorch."""
    known = by_framework.get(_fixes.framework_of(layers))
    both = (Framework.KERAS, Framework.TORCH)
    return known or "; ".join(f"{one.value}: {by_framework[one]}" for one in both)


def _folded(layers: list[BatchNormLayer]) -> Evidence:
    names = [layer.name for layer in layers]
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words(names)} are exactly 0 and 1, and gamma and "
            "beta are constant at other values: statistics folded into them, as in a converted "
            "FrozenBatchNorm. Training and evaluation see the same layer."
        ),
        proof=tuple(
            f"{shortened(tag)}: {between(series.minimum[0], series.maximum[0])}, constant"
            for tag, series in itertools.islice(layers[0].weights.items(), 2)
        ),
        fix="Nothing, if the layers were converted and are frozen on purpose.",
        layers=tuple(names),
    )


RULE = Rule(
    "BN102",
    "frozen-statistics",
    Severity.INFO,
    check,
    __doc__ or "",
    GAP_LIMITS,
    meaning=Meaning(Verdict.FROZEN, as_info=True),
)
