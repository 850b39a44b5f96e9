"""Keras 3 and tf_keras: what switches training mode off, or only looks as if it did."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.lab import keras_fit
from tests.lab.data import CLASSES, SIDE, STANDARDISED, pictures
from tests.lab.keras_fit import keras, tf, tf_keras
from tests.lab.scenario import Scenario

NORMS = ("conv_bn", "dense_bn")


def _set(model: Any, trainable: bool) -> None:
    for name in NORMS:
        model.get_layer(name).trainable = trainable


def _changed_on_the_way(logdir: str, framework: Any, trainable: bool, fitted: bool) -> None:
    """Sets the flag of the norms after compile, or after a first fit, and does not compile again.

    Args:
      logdir: Where to log.
      framework: keras or tf_keras.
      trainable: What they are set to; before it they are the contrary.
      fitted: Whether an epoch is fitted in between.
    """
    model = keras_fit.network(framework)
    _set(model, not trainable)
    keras_fit.compile_for(framework, model)
    images, labels = pictures(320, **STANDARDISED)
    if fitted:
        model.fit(images, labels, verbose=0)
    _set(model, trainable)
    tensorboard = framework.callbacks.TensorBoard(logdir, histogram_freq=1)
    model.fit(images, labels, epochs=8, initial_epoch=2, verbose=0, callbacks=[tensorboard])


def _called_with_false(framework: Any) -> Any:
    framework.utils.set_random_seed(1)
    layers = framework.layers
    inputs = layers.Input((SIDE, SIDE, 1))
    x = layers.Conv2D(6, 3, strides=2, name="conv")(inputs)
    x = layers.BatchNormalization(momentum=0.9, name="conv_bn")(x, training=False)
    return framework.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(layers.ReLU()(x))))


def _own_train_step(framework: Any) -> Any:
    """Calls the model in a train_step of its own, and forgets training=True."""

    class Forgetful(framework.Model):  # type: ignore[misc, name-defined]
        def train_step(self, data: Any) -> dict[str, Any]:
            images, labels = data
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels=tf.cast(tf.reshape(labels, [-1]), tf.int32), logits=self(images)
                )
                loss = tf.reduce_mean(losses)
            weights = self.trainable_variables
            gradients = tape.gradient(loss, weights)
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return {"loss": loss}

    model = keras_fit.network(framework)
    return Forgetful(model.inputs, model.outputs)


def _gan(logdir: str, framework: Any, before_each: bool) -> None:
    """Trains a GAN by train_on_batch, its discriminator frozen for the combined model.

    Args:
      logdir: Where to log.
      framework: keras or tf_keras.
      before_each: Whether the flag is set before each step, or once, for good.
    """
    framework.utils.set_random_seed(1)
    layers, noise = framework.layers, np.random.default_rng(0)

    def network(name: str, size: int, outputs: int) -> Any:
        inputs = layers.Input((size,))
        x = layers.Dense(16, name=f"{name}_dense")(inputs)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.8, name=f"{name}_bn")(x))
        return framework.Model(inputs, layers.Dense(outputs, name=f"{name}_out")(x), name=name)

    generator, discriminator = network("generator", 8, 12), network("discriminator", 12, 1)
    loss = framework.losses.BinaryCrossentropy(from_logits=True)
    discriminator.compile(framework.optimizers.Adam(1e-3), loss)
    discriminator.trainable = False
    start = layers.Input((8,))
    combined = framework.Model(start, discriminator(generator(start)), name="gan")
    combined.compile(framework.optimizers.Adam(1e-3), loss)
    tensorboard = framework.callbacks.TensorBoard(logdir, histogram_freq=1)
    tensorboard.set_model(combined)
    real, fake = np.ones((32, 1)), np.zeros((32, 1))
    for step in range(60):
        images = noise.normal(2, 1, (32, 12)).astype(np.float32)
        seeds = noise.normal(size=(32, 8)).astype(np.float32)
        discriminator.trainable = before_each
        discriminator.train_on_batch(images, real)
        discriminator.train_on_batch(np.asarray(generator(seeds)), fake)
        discriminator.trainable = False
        loss_now = float(np.ravel(combined.train_on_batch(seeds, real))[0])
        if step % 10 == 9:
            tensorboard.on_epoch_end(step // 10, {"loss": loss_now})


def _fit(framework: Any, make: Callable[[Any], Any]) -> Callable[[str], None]:
    return functools.partial(
        keras_fit.fit, framework=framework, make=make, epochs=8, data=STANDARDISED
    )


def _renorm(framework: Any) -> Any:
    norm = functools.partial(
        framework.layers.BatchNormalization, renorm=True, momentum=0.9, renorm_momentum=0.9
    )
    return keras_fit.network(framework, norm=norm)


def _scenario(
    name: str, log: Callable[[str], None], truth: str, *says: str, healthy: bool = False
) -> Scenario:
    verdicts, must = (("healthy",), ()) if healthy else (("stale",), ("BN101",))
    return Scenario(name, log, truth, verdicts, must=must, run="train", says=says)


_NAMES_LAYERS = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 13)
"""Whether Keras' callback logs weights under their paths; before, all layers shared their tags."""
_OF_NAMED_LAYERS = (
    _scenario(
        "keras3_frozen_before_fit",
        functools.partial(_changed_on_the_way, framework=keras, trainable=False, fitted=False),
        "Keras 3 reads the flag at the first fit, not at compile.",
        "trainable: false",
    ),
    _scenario(
        "keras3_frozen_after_fit",
        functools.partial(_changed_on_the_way, framework=keras, trainable=False, fitted=True),
        "The flag that is set after the first fit does nothing: the layers are trained on.",
        healthy=True,
    ),
)

SCENARIOS = (
    _scenario(
        "keras3_thawed_after_fit",
        functools.partial(_changed_on_the_way, framework=keras, trainable=True, fitted=True),
        "The layers were not trainable at the first fit; the flag that is set later does nothing.",
        "compiled or first trained",
        "model.compile",
    ),
    *(_OF_NAMED_LAYERS if _NAMES_LAYERS else ()),
    _scenario(
        "tf_keras_thawed_after_compile",
        functools.partial(_changed_on_the_way, framework=tf_keras, trainable=True, fitted=False),
        "tf_keras reads the flag at compile: the layers are not trainable.",
        "trainable: false",
        "then compile",
    ),
    _scenario(
        "tf_keras_frozen_after_compile",
        functools.partial(_changed_on_the_way, framework=tf_keras, trainable=False, fitted=False),
        "tf_keras reads the flag at compile: the layers are trained.",
        healthy=True,
    ),
    _scenario(
        "tf_keras_called_with_false",
        _fit(tf_keras, _called_with_false),
        "The call that builds the model passes training=False.",
        "Take training=False out",
    ),
    _scenario(
        "keras3_called_with_false",
        _fit(keras, _called_with_false),
        "Keras 3's fit overrides the training=False that built the model.",
        healthy=True,
    ),
    _scenario(
        "tf_keras_own_train_step",
        _fit(tf_keras, _own_train_step),
        "A train_step calls self(x) without training=True.",
        "self(x, training=True)",
        "after epoch 7",
    ),
    _scenario(
        "keras3_gan_frozen_for_good",
        functools.partial(_gan, framework=keras, before_each=False),
        "Keras 3 reads the flag at the discriminator's first step: it is never trained.",
        "discriminator.trainable = True",
    ),
    _scenario(
        "keras3_gan_frozen_for_the_combined_step",
        functools.partial(_gan, framework=keras, before_each=True),
        "The discriminator is trained by its own step; for the combined model it is frozen.",
        healthy=True,
    ),
    _scenario(
        "tf_keras_gan_frozen_for_good",
        functools.partial(_gan, framework=tf_keras, before_each=False),
        "tf_keras remembers that the discriminator was trainable when it was compiled.",
        healthy=True,
    ),
    _scenario(
        "tf_keras_fit_renorm",
        _fit(tf_keras, _renorm),
        "Batch renormalisation under fit, momentum 0.9.",
        healthy=True,
    ),
)
