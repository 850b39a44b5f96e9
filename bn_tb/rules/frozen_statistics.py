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
no lower than `stuck` = 0.9 of the first one, as on BN501's page.

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
(Keras: `layer.trainable = True` before `compile`; PyTorch: `model.train()`), or make training use
the frozen statistics too (`layer(x, training=False)`, `bn.eval()`).

## References
- https://keras.io/guides/transfer_learning/
- http://blog.datumbox.com/the-batch-normalization-layer-of-keras-is-broken/
"""

import itertools
from collections.abc import Iterator, Mapping

from bn_tb.evidence.folded import is_folded
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules._gap import GAP_LIMITS
from bn_tb.rules._words import count, layers_in_words, shortened, span
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict

FIX = (
    "Nothing, if the layers are frozen on purpose and evaluation is as good as training. Otherwise "
    "unfreeze them (Keras: layer.trainable = True before compile; PyTorch: model.train()), or use "
    "the frozen statistics in training too (Keras: layer(x, training=False); PyTorch: bn.eval())."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all frozen layers."""
    folded = [layer for layer in subject.layers if is_folded(layer)]
    if folded and subject.activity.moved:
        yield _folded(folded)
    layers = [layer for layer in subject.layers if layer.motion is Motion.CONSTANT]
    if not layers:
        return
    last = max(layer.steps[1] for layer in layers if layer.steps)
    others = "; the weights that are logged do not change either: nothing was trained"
    still = subject.activity.weights_stand_still
    gap = subject.gap(limits)
    yield Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} are "
            f"frozen: constant, at other values than the initial ones{others if still else ''}."
            f"{' Training and evaluation part, which they may explain.' if gap else ''}"
        ),
        proof=tuple(
            f"{role.value} of {layers[0].name}: {series.minimum[0]:.6g} to {series.maximum[0]:.6g} "
            f"at {count(series.steps.size, 'point')}, {span(series.steps)}"
            for role, series in layers[0].finite
        ),
        fix=FIX,
        layers=tuple(layer.name for layer in layers),
        step=last,
        severity=Severity.WARNING if gap else None,
    )


def _folded(layers: list[BatchNormLayer]) -> Evidence:
    names = [layer.name for layer in layers]
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words(names)} are exactly 0 and 1, and gamma and "
            "beta are constant at other values: statistics folded into them, as in a converted "
            "FrozenBatchNorm. Training and evaluation see the same layer."
        ),
        proof=tuple(
            f"{shortened(tag)}: {series.minimum[0]:.4g} to {series.maximum[0]:.4g}, constant"
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
    explained_by=("BN403",),
)
