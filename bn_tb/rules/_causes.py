"""Why statistics stand still although their network is trained, where the log tells."""

import dataclasses
from collections.abc import Sequence

from bn_tb.evidence.copies import is_called_copy
from bn_tb.evidence.counting import Count, count_of, counted
from bn_tb.evidence.precision import FORMATS, coarse_format
from bn_tb.evidence.untouched import gamma_and_beta_stand, gamma_was_trained_before
from bn_tb.layers import BatchNormLayer, Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._cause import NO_WEIGHT, NOT_COUNTED, Cause
from bn_tb.rules._causes_keras import of_keras
from bn_tb.rules._causes_pytorch import (
    EVALUATION_MODE,
    HELD,
    HELD_BY_COUNTER,
    LOAD,
    LOADED,
    MOMENTUM_ZERO,
    NO_GRADIENTS,
    NOT_IN_TRAINING,
    STOPPED,
)
from bn_tb.rules._gap import EXPLAINED_LIMITS
from bn_tb.rules._words import shortened
from bn_tb.rules.how_to_log import likely_framework
from bn_tb.rules.subject import Subject

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
    sentence = f"{LOADED} {cause.sentence}".rstrip()
    return dataclasses.replace(cause, sentence=sentence, fix=LOAD + cause.fix)


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
        return dataclasses.replace(STOPPED, sentence="")
    if layer.framework is Framework.TORCH and _others_are_updated(subject, layer):
        return HELD
    sentence = NOT_COUNTED if count_of(layer, since) is Count.STANDS else ""
    return Cause(sentence, _fixes.updates([layer]), _fixes.KEEP_OR_TRAIN_ANEW)


def _without_weight(layer: BatchNormLayer) -> Cause:
    """Returns the cause of statistics that stand while updates are counted."""
    if layer.framework in (Framework.TORCH, Framework.UNKNOWN):
        return MOMENTUM_ZERO
    code = _fixes.momentum(layer.framework, 0.9)
    fix = f"Give new batches some weight:\n\n    {code}\n"
    return Cause(NO_WEIGHT, fix, _fixes.KEEP_WEIGHTS)


def _counted_or_configured(subject: Subject, layer: BatchNormLayer, since: float) -> Cause | None:
    """Returns what counters, names of copies or the configuration of Keras tell."""
    count = count_of(layer, since)
    coarse = coarse_of(layer) if count is not Count.STANDS else None
    if coarse is not None or count is Count.GROWS:
        return coarse or _without_weight(layer)
    if _is_called_copy(subject, layer):
        return _CALLED_COPY
    if layer.framework is Framework.TORCH and gamma_and_beta_stand(layer):
        return NO_GRADIENTS
    if count is Count.STANDS and layer.framework in (Framework.TORCH, Framework.UNKNOWN):
        return _by_counter(subject, layer, since)
    return of_keras(subject, layer)


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
        return STOPPED
    if _others_are_updated(subject, layer):
        return HELD_BY_COUNTER
    limits = {name: limit.value for name, limit in EXPLAINED_LIMITS.items()}
    return NOT_IN_TRAINING if subject.gap(limits) else EVALUATION_MODE


def proof_of(layers: Sequence[BatchNormLayer]) -> tuple[str, ...]:
    """Returns what layers say of their cause themselves, for the proof."""
    return tuple(line for line in map(counted, layers[:1]) if line)


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
