"""Why statistics of Keras stand still: by its configuration and its weights."""

import dataclasses

from bn_tb.evidence.untouched import gamma_and_beta_stand
from bn_tb.layers import BatchNormLayer, Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._cause import Cause
from bn_tb.rules.subject import Subject

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


def of_keras(subject: Subject, layer: BatchNormLayer) -> Cause | None:
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
