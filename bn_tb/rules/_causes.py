"""Why statistics stand still although their network is trained, where the log tells."""

import dataclasses
from collections.abc import Sequence

from bn_tb.evidence.copies import is_called_copy
from bn_tb.evidence.counting import Count, count_of, counted
from bn_tb.evidence.precision import FORMATS, coarse_format
from bn_tb.evidence.untouched import gamma_and_beta_stand, gamma_was_trained_before
from bn_tb.layers import BatchNormLayer, Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._gap import EXPLAINED_LIMITS
from bn_tb.rules._words import shortened
from bn_tb.rules.how_to_log import likely_framework
from bn_tb.rules.subject import Subject


@dataclasses.dataclass(frozen=True)
class Cause:
    """One cause, equal for all layers that share it.

    Attributes:
      sentence: What it is, after the message; an empty string if nothing tells.
      fix: What to change.
      aftercare: What that means for the weights that were trained.
    """

    sentence: str
    fix: str
    aftercare: str


_NO_WEIGHT = (
    "The counters of their updates grow, so the layers do run in training mode: the momentum gives "
    "new batches no weight (PyTorch: momentum=0, Keras and TensorFlow: momentum=1, Haiku: "
    "decay_rate=1)."
)

MOMENTUM_ZERO = Cause(
    _NO_WEIGHT,
    """\
PyTorch's momentum is the weight of the new batch, the other way round than in Keras and \
TensorFlow. Give it some weight:

    nn.BatchNorm2d(channels, momentum=0.1)

model.train() does not help: the layers are in training mode.""",
    _fixes.KEEP_WEIGHTS,
)

HELD = Cause(
    "Other layers of the network are updated: these are held in evaluation mode, or have a "
    "momentum that gives new batches no weight.",
    """\
model.train() does not reach these layers. By likelihood:

1. They are a network of their own beside the one that model.train() is called on: call train() \
of each network before every training epoch.
2. Something puts them back into evaluation mode after model.train(): an overridden train() \
(norm_eval=True in OpenMMLab's backbones, frozen_stages), a freezing helper. Look for .eval() in \
the code of these modules, or print [m.training for m in model.modules()] in the training loop: \
False here, True elsewhere.
3. They were built with momentum=0 (PyTorch): print(layer.momentum).

To train them, switch that off for networks that are trained from the start:

    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()

after every model.train().""",
    _fixes.TRAIN_ANEW,
)

HELD_BY_COUNTER = dataclasses.replace(
    HELD,
    sentence="Their counters of updates stand still while other layers are updated: these layers "
    "are held in evaluation mode in training.",
)

_STOPPED = Cause(
    "Their counters of updates stand still from there on: no batch updated them any more.",
    """\
By likelihood:

1. model.eval() of an evaluation (a validation, or sampling from a generator) was not undone. Call

    model.train()

after it, on the module that eval() was called on.
2. A schedule froze them from this step on (eval() of these layers). If it was meant, name them \
with --frozen.
3. The momentum became 0 (PyTorch): print(layer.momentum).""",
    _fixes.TRAIN_ANEW,
)

NOT_IN_TRAINING = Cause(
    "The counters of their updates stand still, and yet training is better than evaluation: "
    "training normalised with the statistics of its batches, and did not keep them.",
    """\
By likelihood:

1. What is logged is not what is trained: a copy or a server that averages model.parameters() only \
leaves the buffers out. Then the weights logged here change once a round, and the copy that is \
trained has other statistics: average model.state_dict() instead.
2. track_running_stats was set to False after the layers were built: build them with it, or set it \
back to True.
3. model.train() is not called, or model.eval() is called after it. Print model.training in the \
training loop; where it is False,

    model.train()

before every training epoch, also after each validation.""",
    _fixes.KEEP_OR_TRAIN_ANEW,
)

_NOT_COUNTED = "The counters of their updates stand still: no batch updated them."

EVALUATION_MODE = Cause(
    _NOT_COUNTED,
    """\
By likelihood:

1. model.train() is not called, or model.eval() is called after it (after a validation). Print \
model.training in the training loop: False. Then

    model.train()

before every training epoch, also after each validation.
2. What is logged is not what is trained: a copy or a server that averages model.parameters() only \
leaves the buffers out. Then the weights logged here change once a round, and the copy that is \
trained has other statistics: average model.state_dict() instead.
3. The layers are put back into evaluation mode (an overridden train(), norm_eval): \
model.training is True, and module.training is False in these layers.
4. track_running_stats was set to False after the layers were built.""",
    _fixes.KEEP_OR_TRAIN_ANEW,
)

_NO_GRADIENTS = Cause(
    "Gamma and beta stand at 1 and 0 as well, so no gradients reach these layers either: they are "
    "frozen in evaluation mode (a FrozenBatchNorm, requires_grad=False), or never called, and do "
    "not normalise.",
    """\
If they are frozen on purpose, load pretrained statistics, gamma and beta with the weights. If \
they shall normalise, let their parameters have gradients, call model.train() before every \
training epoch, and look for .eval() of these modules after it.""",
    _fixes.TRAIN_ANEW,
)

_LOADED = (
    "Gamma was trained before this log begins, and the statistics were not: pretrained weights "
    "were loaded without them."
)

_LOAD = """\
Load the statistics with the weights. load_state_dict(state, strict=False) passes over what it \
does not find, parameters() holds none, and a prefix ("module.", "backbone.") hides all:

    missing, _ = model.load_state_dict(state, strict=False)
    print([name for name in missing if "running_" in name])

prints an empty list when they are loaded. If the layers shall be trained on, they need updates \
as well. """

_SET_TRAINABLE = """\
Set the layers trainable, then compile: to set the flag afterwards changes nothing.

    model.trainable = True
    for layer in model.layers:
        layer.trainable = True
    model.compile(optimizer, loss)

A layer inside a model that is not trainable is not trainable either. If the layers are frozen on \
purpose, load pretrained statistics with the weights."""

_IN_A_GAN = """

In a GAN, Keras 3 reads the flag when a step is run for the first time, so that \
discriminator.trainable = False, meant for the combined model, also stops the discriminator's own \
step. Set it before each:

    discriminator.trainable = True
    discriminator.train_on_batch(images, labels)
    discriminator.trainable = False
    combined.train_on_batch(noise, wanted)"""

_NOT_TRAINABLE = Cause(
    "The Keras configuration says trainable: false, and a layer that is not trainable runs in "
    "inference mode.",
    _SET_TRAINABLE,
    _fixes.TRAIN_ANEW,
)

_UNTRAINED = Cause(
    "Gamma and beta stand at 1 and 0 as well, while other weights are trained: what was not "
    "trainable (trainable = False, its own or that of a model around it) when the model was "
    "compiled or first trained runs in inference mode.",
    _SET_TRAINABLE,
    _fixes.TRAIN_ANEW,
)

_CALLED_WITH_FALSE = Cause(
    "The Keras configuration shows a call with training=False, which in Keras 2 neither fit nor "
    "model(x, training=True) overrides.",
    """\
Take training=False out of the call that builds the model, so that fit decides:

    x = layers.BatchNormalization()(x)

For a layer that shall be frozen, load pretrained statistics with the weights.""",
    _fixes.TRAIN_ANEW,
)

_IN_FIT = Cause(
    "",
    """\
model.fit trains in training mode by itself, so something switches it off. By likelihood:

1. A train_step of your own calls the model without it:

    y_pred = self(x, training=True)

2. call(self, x) of a model of your own takes no training, and Keras 3 passes none on to layers: \
write call(self, x, training=None) and layer(x, training=training).
3. call() of your own model, or in tf_keras the call that builds the model, passes training=False \
to the layers: take it out.
4. layer.trainable or model.trainable was False when the model was compiled or first fitted: set \
it to True, and compile again.""",
    _fixes.KEEP_OR_TRAIN_ANEW,
)


_APART = Cause(
    "A condition builds two layers in place of one, which share no variables: one that trains and "
    "one that evaluation runs, with gamma, beta and statistics of its own that nothing updates.",
    "Build one layer and let it decide, tf.layers.batch_normalization(x, training=is_training), or "
    f"give both calls one name and the second one reuse=True. {_fixes.TF1_WIRING}",
    "\nThen train anew: what evaluation runs was not trained.",
)

_COARSE = Cause(
    "They are stored in {format}, where an update below half of the last of its {bits} bits is "
    "lost: the statistics stop before they are those of the batches.",
    """\
Keep the statistics in float32. PyTorch, after model.to(torch.{format}):

    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.float()

or leave the model in float32 and run it under torch.autocast. Keras: the dtype policy \
mixed_{format} in place of {format}. Flax: param_dtype=jnp.float32 of BatchNorm.""",
    "\nThe weights are good: with float32 statistics {recalibrate} fills them in from training "
    "batches.",
)

_CALLED_COPY = Cause(
    "By its name, or by the graph that assigns its weights, this is a copy of a network: its "
    "statistics are not made by training, but copied with the weights, or left out.",
    f"""\
By likelihood:

1. What makes the copy goes over the weights only. {_fixes.COPY}
2. It is no copy, and is trained by itself in evaluation mode: call model.train() of this network \
before every training epoch.""",
    "\nUntil then {recalibrate} fills in the statistics of the copy from training batches.",
)

_THE_START = float("-inf")


def cause_of(subject: Subject, layer: BatchNormLayer, since: float = _THE_START) -> Cause:
    """Returns why a layer stands still from step `since` on, as far as the log tells."""
    cause = _why(subject, layer, since)
    layer = _with_writer(subject, layer)
    held = cause in (EVALUATION_MODE, HELD, HELD_BY_COUNTER) or cause.fix == _fixes.updates([layer])
    if layer.framework is not Framework.TORCH or since > _THE_START or not held:
        return cause
    still = [other for other in subject.layers if other.motion is Motion.INITIAL]
    if not any(map(gamma_was_trained_before, still)):
        return cause
    sentence = f"{_LOADED} {cause.sentence}".rstrip()
    return dataclasses.replace(cause, sentence=sentence, fix=_LOAD + cause.fix)


def _why(subject: Subject, layer: BatchNormLayer, since: float) -> Cause:
    """Returns why a layer stands still, whatever was loaded before."""
    if _has_twin(subject, layer):
        return _APART
    switch = _fixes.switch_to_blame([layer])
    if switch:
        return Cause(_switched_off(switch), _fixes.updates([layer]), _fixes.TRAIN_ANEW)
    layer = _with_writer(subject, layer)
    known = _counted_or_configured(subject, layer, since)
    if known is not None:
        return known
    if layer.framework is Framework.TORCH and since > _THE_START:
        return dataclasses.replace(_STOPPED, sentence="")
    if layer.framework is Framework.TORCH and _others_are_updated(subject, layer):
        return HELD
    sentence = _NOT_COUNTED if count_of(layer, since) is Count.STANDS else ""
    return Cause(sentence, _fixes.updates([layer]), _fixes.KEEP_OR_TRAIN_ANEW)


def _without_weight(layer: BatchNormLayer) -> Cause:
    """Returns the cause of statistics that stand while updates are counted."""
    if layer.framework in (Framework.TORCH, Framework.UNKNOWN):
        return MOMENTUM_ZERO
    code = _fixes.momentum(layer.framework, 0.9)
    fix = f"Give new batches some weight:\n\n    {code}\n"
    return Cause(_NO_WEIGHT, fix, _fixes.KEEP_WEIGHTS)


def _counted_or_configured(subject: Subject, layer: BatchNormLayer, since: float) -> Cause | None:
    """Returns what counters, names of copies or the configuration of Keras tell."""
    count = count_of(layer, since)
    coarse = coarse_of(layer) if count is not Count.STANDS else None
    if coarse is not None or count is Count.GROWS:
        return coarse or _without_weight(layer)
    if _is_called_copy(subject, layer):
        return _CALLED_COPY
    if layer.framework is Framework.TORCH and gamma_and_beta_stand(layer):
        return _NO_GRADIENTS
    if count is Count.STANDS and layer.framework in (Framework.TORCH, Framework.UNKNOWN):
        return _by_counter(subject, layer, since)
    return _of_keras(subject, layer)


def coarse_of(layer: BatchNormLayer) -> Cause | None:
    """Returns that the statistics of a layer are stored too coarsely for their updates, if so."""
    name = coarse_format(layer)
    if not name:
        return None

    def filled(text: str) -> str:
        return text.replace("{format}", name).replace("{bits}", str(FORMATS[name]))

    return Cause(filled(_COARSE.sentence), filled(_COARSE.fix), _COARSE.aftercare)


def _with_writer(subject: Subject, layer: BatchNormLayer) -> BatchNormLayer:
    """Returns a layer whose names tell no framework, with the one that its files tell."""
    if layer.framework is not Framework.UNKNOWN:
        return layer
    return dataclasses.replace(layer, framework=likely_framework(subject.run))


def _has_twin(subject: Subject, layer: BatchNormLayer) -> bool:
    """Returns whether one placeholder chooses between layers that train and layers that do not."""
    own = layer.wiring
    if own is None or not own.switch or own.training is None:
        return False
    same = [one.wiring for one in subject.layers if one.wiring and one.wiring.switch == own.switch]
    return any(one.training is not None and one.training != own.training for one in same)


def _is_called_copy(subject: Subject, layer: BatchNormLayer) -> bool:
    if layer.wiring is not None and layer.wiring.copied:
        return True
    others = [other for one in subject.experiment for other in one.layers]
    return layer.name in subject.copies or is_called_copy(subject.run, layer, others)


def _by_counter(subject: Subject, layer: BatchNormLayer, since: float) -> Cause:
    """Returns why a counter of updates stands still."""
    if since > _THE_START:
        return _STOPPED
    if _others_are_updated(subject, layer):
        return HELD_BY_COUNTER
    limits = {name: limit.value for name, limit in EXPLAINED_LIMITS.items()}
    return NOT_IN_TRAINING if subject.gap(limits) else EVALUATION_MODE


def proof_of(layers: Sequence[BatchNormLayer]) -> tuple[str, ...]:
    """Returns what layers say of their cause themselves, for the proof."""
    return tuple(line for line in map(counted, layers[:1]) if line)


def _of_keras(subject: Subject, layer: BatchNormLayer) -> Cause | None:
    """Returns why a layer of Keras stands still, by its configuration and its weights."""
    wiring = layer.wiring
    if layer.framework is not Framework.KERAS or (wiring is not None and wiring.updates):
        return None
    if wiring is not None and wiring.trainable is False:
        return _also_in_a_gan(_NOT_TRAINABLE, subject)
    if subject.activity.moved and gamma_and_beta_stand(layer):
        return _also_in_a_gan(_UNTRAINED, subject)
    if wiring is not None and wiring.training is False:
        return _CALLED_WITH_FALSE
    fits = any(tag.startswith("epoch_") for one in subject.experiment for tag in one.run.scalars)
    return _IN_FIT if fits else None


def _also_in_a_gan(cause: Cause, subject: Subject) -> Cause:
    """Returns a cause with what it takes in a GAN, if another batch norm of the run is updated."""
    if not any(other.motion is Motion.MOVING for other in subject.layers):
        return cause
    return dataclasses.replace(cause, fix=cause.fix + _IN_A_GAN)


def _others_are_updated(subject: Subject, layer: BatchNormLayer) -> bool:
    others = [other for other in subject.layers if other is not layer]
    return any(
        count_of(other) is Count.GROWS or other.motion is Motion.MOVING
        for other in others
        if other.framework is layer.framework
    )


def _switched_off(switch: str) -> str:
    return (
        "Their updates are wired to the train op, so the placeholder "
        f"{shortened(switch)} was never True in training: training normalised with these values "
        "too, as evaluation does."
    )
