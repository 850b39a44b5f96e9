"""## What it does
Finds training graphs in which batch norm runs in inference mode and no update ops exist.

## Why is this bad?
The layer normalises training batches with its moving statistics and never updates them. If they
are still the initial ones, nothing is normalised at all; if they are those of a pretrained network,
the layer is frozen, which may be intended.

## How it is decided
The graph has an optimizer's ops, the layer's normalisation has `is_training` False (or normalises
with the moving variables), and no op writes them.

Layers that the optimizer does not train (gamma and beta) are frozen on purpose: silent. So are
layers whose gamma or beta is assigned from other variables (target networks, averages), and
single layers where others of the graph are in training mode. Histograms at the initial values make
it the cause of BN101; without histograms it is likely. Statistics that are constant at other values
are frozen in training as in evaluation: BN102.

## Example
    FusedBatchNormV3: is_training False
    bn/moving_mean: read by the layer, written by nothing
    train/Adam: updates bn/gamma

## When it is wrong
Fine-tuning with frozen statistics and trained gamma and beta, if no histogram is logged.

## How to fix it
Build the layer in training mode: `training=True`, or a placeholder that is fed True in training.

## References
- https://github.com/tensorflow/tensorflow/issues/32864
- https://github.com/keras-team/keras/issues/20378
"""

from collections.abc import Iterator, Mapping

from bn_tb.layers import BatchNormLayer, Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._wiring import updates_of
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict

_TF1 = """\
Build the layers in training mode for training:

    tf.layers.batch_normalization(x, training=True)  # or fed True

and run their updates with the train op:

    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(update_ops):
        train_op = optimizer.minimize(loss)"""


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence apart for layers that stand still and layers that are not logged."""
    if subject.graph is None or not subject.graph.trains:
        return
    inference = [layer for layer in subject.layers if _inference(layer)]
    others = [
        wiring
        for wiring in subject.graph.layers.values()
        if updates_of(wiring) or wiring.training is not False
    ]
    initial = [layer for layer in inference if layer.motion is Motion.INITIAL]
    yield from _evidence(initial, Confidence.CONFIRMED)
    if not others:
        unlogged = [layer for layer in inference if layer.motion is not Motion.INITIAL]
        yield from _evidence(unlogged, Confidence.LIKELY)


def _inference(layer: BatchNormLayer) -> bool:
    wiring = layer.wiring
    if wiring is None or updates_of(wiring) or wiring.training is not False or wiring.copied:
        return False
    if layer.motion in (Motion.MOVING, Motion.HALF, Motion.CONSTANT) or wiring.trainable is False:
        return False
    return wiring.trained is not False or layer.motion is Motion.INITIAL


def _evidence(layers: list[BatchNormLayer], confidence: Confidence) -> Iterator[Evidence]:
    if not layers:
        return
    keras = _fixes.framework_of(layers) is Framework.KERAS
    yield Evidence(
        message=(
            f"The graph that trains runs {layers_in_words([layer.name for layer in layers])} in "
            "inference mode: training batches are normalised with the moving statistics, and no op "
            "updates these."
        ),
        proof=(f"{layers[0].name}: inference mode, no update op, in a graph with an optimizer",),
        fix=(_fixes.KERAS_TRAINING if keras else _TF1) + _fixes.TRAIN_ANEW,
        layers=tuple(layer.name for layer in layers),
        confidence=confidence,
    )


RULE = Rule(
    "BN403",
    "no-update-ops",
    Severity.WARNING,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.STALE, least=Confidence.LIKELY),
)
