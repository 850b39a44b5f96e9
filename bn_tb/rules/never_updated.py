"""## What it does
Finds layers whose `moving_mean` and `moving_variance` still hold their initial values (0 and 1)
although the network was trained.

## Why is this bad?
Training normalises with the statistics of the batch, evaluation with the moving statistics. A
network that learned behind normalised activations gets activations of another scale in evaluation:
training looks perfect, evaluation is at chance, and it looks like overfitting. In inference mode
during training (no batch statistics at all) the layer does not normalise: training is slow and
unstable.

## How it is decided
Both statistics are logged at `min_steps` or more different steps, and every point of both is
bit for bit the initial value: minimum = maximum = 0 for the mean, 1 for the variance (or what the
graph says the initial values are; 0 and 0 for averages of tensors by ExponentialMovingAverage).
After one update with any data the chance of that is nil.

What proves that training went on, best first:

- a logged weight, gamma or beta of the experiment changed: confirmed;
- a training metric changed: confirmed;
- nothing else is logged and steps advance: likely;
- weights are logged and none ever changed: the run does not train, and the rule stays silent.

Why, where the log tells, first match first:

- the graph wires the updates to the train op and a placeholder decides whether the layer is in
  training mode: that placeholder was never True in training;
- gamma and beta have 8 significant bits (bfloat16) or 11 (float16) at every point, and no counter
  stands still: the statistics are stored as coarsely, and each update is too small to be kept;
- the layer's counter (`num_batches_tracked`) grows: it runs in training mode, and the momentum
  gives new batches no weight (PyTorch 0, Keras 1);
- a condition builds two layers, one for training and one for evaluation, that share no variables;
- its counter stands still: it is held in evaluation mode where other layers are updated (an
  overridden `train()`, `norm_eval`), else the whole network is;
- the Keras configuration says `trainable: false`; gamma and beta of a Keras layer stand at 1 and 0
  too while other weights are trained, so that the layer was not trainable when the model was
  compiled (tf_keras) or first trained (Keras 3), as the discriminator of a GAN; or the
  configuration shows a call with `training=False` (Keras 2; Keras 3 overrides it in `fit`).

In PyTorch, where gamma of such a layer is further from 1 at its first point than five times its
fastest pace in this log could have taken it, pretrained weights were loaded without statistics.

A layer of which nothing at all changed while others ran is BN109.

Left alone is a layer whose gamma and beta are logged, constant and not 1 and 0: a FrozenBatchNorm,
whose statistics were folded into them when a model was converted.

## Example
    moving_mean      steps 1..500: minimum 0, maximum 0
    moving_variance  steps 1..500: minimum 1, maximum 1
    conv0/kernel     changed at 499 of 499 steps

## When it is wrong
The statistics of a network that is always evaluated in training mode (some GANs, MAML) are unused
on purpose: name such layers with `--frozen`, or ignore BN101.

## How to fix it
TensorFlow 1: make the train op depend on the `UPDATE_OPS` of the finished network. Keras layers in
a TensorFlow 1 graph: depend on the updates of the layers. Keras in a GradientTape:
`model(x, training=True)`. PyTorch: `model.train()`. Flax: `mutable=["batch_stats"]`, and keep the
result. If training normalised with the statistics of the batch, the weights need no new training:
forward passes in training mode fill in the statistics. If it ran in inference mode, the weights fit
the initial values, and only a new training helps.

## References
- https://github.com/tensorflow/tensorflow/issues/11965
- https://github.com/tensorflow/tensorflow/issues/1122
- https://github.com/tensorflow/tensorflow/issues/32864
- https://github.com/google/flax/issues/932
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.folded import is_folded
from bn_tb.evidence.untouched import untouched_among_trained
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._cause import Cause
from bn_tb.rules._causes import cause_of, proof_of
from bn_tb.rules._held import held, when
from bn_tb.rules._training import Proof, proof_of_training
from bn_tb.rules._wiring import WIRING, updates_of
from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict

LIMITS = {
    "min_steps": Limit(2, "different steps", "one point may have been written before training"),
}


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers that were never updated for one reason."""
    groups: dict[Cause, list[BatchNormLayer]] = {}
    unused = {layer.name for layer in untouched_among_trained(subject.layers)}
    for layer in subject.layers:
        if _never_updated(layer, limits["min_steps"]) and layer.name not in unused:
            groups.setdefault(cause_of(subject, layer), []).append(layer)
    for cause, layers in groups.items():
        last = max(layer.steps[1] for layer in layers if layer.steps)
        proof = proof_of_training(subject, last)
        if proof is not None:
            yield _evidence(subject, layers, last, cause, proof)


def _never_updated(layer: BatchNormLayer, min_steps: float) -> bool:
    return (
        layer.motion is Motion.INITIAL
        and (layer.saved or min(series.steps.size for _, series in layer.finite) >= min_steps)
        and not is_folded(layer)
    )


def _evidence(
    subject: Subject, layers: list[BatchNormLayer], last: int, cause: Cause, proof: Proof
) -> Evidence:
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} were "
            f"never updated: {when(subject, layers[0], last)} they still hold their initial "
            "values, although the network was trained. "
            f"{cause.sentence or _WITH_THESE[_fixes.renormalise(layers)]}"
        ),
        proof=(*held(subject, layers[0]), proof.line, *proof_of(layers), *_wired(layers)),
        fix=cause.fix + _fixes.aftercare(cause.aftercare, layers),
        layers=tuple(layer.name for layer in layers),
        step=last,
        confidence=Confidence.CONFIRMED if proof.certain else Confidence.LIKELY,
        keeps_fix=bool(cause.sentence),
    )


_WITH_THESE = {
    False: "Evaluation normalises with these values.",
    True: "Evaluation normalises with these values, and so did training: batch renormalisation "
    "corrects its batches to averages that the same ops update.",
}
"""What is normalised with them, and whether the layers are of batch renormalisation."""


def _wired(layers: list[BatchNormLayer]) -> Iterator[str]:
    switch = _fixes.switch_to_blame(layers)
    if switch and layers[0].wiring:
        for update in updates_of(layers[0].wiring):
            needed = f"needed by {update.needed_by}" if update.needed_by else "run in training"
            idle = f"changes nothing while {shortened(switch)} is False"
            yield f"{update.name} ({update.op}): {needed}, {idle}"


RULE = Rule(
    "BN101",
    "never-updated",
    Severity.ERROR,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.STALE, as_info=True),
    explained_by=WIRING,
)
