"""Keras 3 and tf_keras: model.fit with the TensorBoard callback."""

import functools
import os
from collections.abc import Callable
from typing import Any

from tests.lab.data import CLASSES, SIDE, pictures
from tests.lab.scenario import Framework, Scenario

keras: Any = Framework("keras")
tf: Any = Framework("tensorflow")
tf_keras: Any = Framework("tf_keras")

STEPS_PER_EPOCH = 10


def network(
    framework: Any, momentum: float = 0.9, norm: Any = None, synchronized: bool = False
) -> Any:
    """Returns conv, norm, relu, dense, norm, relu, dense as a functional model."""
    framework.utils.set_random_seed(1)
    layers = framework.layers
    make = norm or functools.partial(layers.BatchNormalization, momentum=momentum)
    inputs = layers.Input((SIDE, SIDE, 1))
    x = layers.Conv2D(6, 3, strides=2, name="conv")(inputs)
    x = layers.ReLU()(make(name="conv_bn")(x))
    x = layers.Dense(8, name="dense")(layers.Flatten()(x))
    x = layers.ReLU()(make(name="dense_bn")(x))
    return framework.Model(inputs, layers.Dense(CLASSES, name="logits")(x))


def pretrained(framework: Any) -> Any:
    """Returns a network trained on data of its own."""
    model = network(framework)
    compile_for(framework, model)
    images, labels = pictures(32 * 40, seed=5)
    model.fit(images, labels, batch_size=32, epochs=1, verbose=0, shuffle=False)
    return model


def compile_for(framework: Any, model: Any, rate: float = 0.05) -> None:
    """Compiles for classes as logits with plain gradient descent."""
    model.compile(
        framework.optimizers.SGD(rate),
        framework.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def fit(
    logdir: str,
    framework: Any,
    make: Callable[[Any], Any] = network,
    *,
    epochs: int = 6,
    steps: int = STEPS_PER_EPOCH,
    validate: bool = True,
    data: dict[str, float] | None = None,
    random_labels: bool = False,
    every: int = 1,
) -> None:
    """Fits with the callback that everybody uses, and histograms of every few epochs."""
    model = make(framework)
    compile_for(framework, model)
    images, labels = pictures(32 * steps, **(data or {}))
    if random_labels:
        _, labels = pictures(32 * steps, seed=3)
    tensorboard = framework.callbacks.TensorBoard(logdir, histogram_freq=every)
    model.fit(
        images,
        labels,
        batch_size=32,
        epochs=epochs,
        verbose=0,
        validation_data=pictures(128, seed=99, **(data or {})) if validate else None,
        callbacks=[tensorboard],
    )


def _frozen(framework: Any, names: tuple[str, ...], start: Callable[[Any], Any]) -> Any:
    model = start(framework)
    for name in names:
        model.get_layer(name).trainable = False
    return model


def _layer_norm(framework: Any) -> Any:
    return network(framework, norm=lambda name: framework.layers.LayerNormalization())


def _collided(logdir: str, frozen: tuple[str, ...] = ()) -> None:
    """A callback of one's own that names tags by weight.name: Keras 3's are not unique."""
    writer = tf.summary.create_file_writer(logdir)

    class Histograms(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            with writer.as_default():
                tf.summary.scalar("epoch_loss", logs["loss"], epoch)
                for layer in self.model.layers:
                    for weight in layer.weights:
                        tf.summary.histogram(f"{weight.name}/histogram", weight, epoch)

    model = _frozen(keras, frozen, network)
    compile_for(keras, model)
    images, labels = pictures(32 * 20)
    model.fit(images, labels, epochs=6, verbose=0, callbacks=[Histograms()])
    writer.close()


def _mirrored(logdir: str, shift: float) -> None:
    """Two replicas see different data and log what each of them holds."""
    devices = tf.config.list_logical_devices("CPU")[:2]
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    with strategy.scope():
        layer = tf_keras.layers.BatchNormalization(momentum=0.9)
        layer.build((None, 6))
    writers = [
        tf.summary.create_file_writer(os.path.join(logdir, f"replica_{number}"))
        for number in range(2)
    ]
    noise = tf.random.Generator.from_seed(1)

    @tf.function
    def step() -> Any:
        def replica() -> Any:
            context = tf.distribute.get_replica_context()
            mean = shift * tf.cast(context.replica_id_in_sync_group, tf.float32)
            return tf.reduce_mean(layer(noise.normal((32, 6)) + mean, training=True))

        return strategy.run(replica)

    for number in range(1, 41):
        step()
        for variable in (layer.moving_mean, layer.moving_variance, layer.gamma):
            held = strategy.experimental_local_results(variable)
            for writer, value in zip(writers, held, strict=True):
                with writer.as_default():
                    tf.summary.histogram(variable.name.removesuffix(":0"), value, number)
    for writer in writers:
        writer.close()


HEALTHY = ("healthy",)
STALE = ("stale",)


def _both(name: str, truth: str, verdicts: tuple[str, ...], **options: Any) -> list[Scenario]:
    """Declares the same scenario for Keras 3 and for tf_keras."""
    must, run = options.pop("must", ()), options.pop("run", "train")
    may = options.pop("may", ())
    return [
        Scenario(
            f"{label}_{name}",
            functools.partial(fit, framework=framework, **options),
            truth,
            verdicts,
            must=must,
            may=may,
            run=run,
        )
        for label, framework in (("keras3", keras), ("tf_keras", tf_keras))
    ]


SCENARIOS = (
    *_both("fit", "model.fit with momentum 0.9, 60 updates.", HEALTHY),
    *_both(
        "fit_without_validation",
        "model.fit without validation: nothing says how many updates an epoch has.",
        HEALTHY,
        validate=False,
        epochs=8,
    ),
    *_both(
        "fit_default_momentum",
        "Keras' 0.99 and 30 updates: 74 % of the start is left and validation is at chance.",
        ("lagging",),
        make=functools.partial(network, momentum=0.99),
        epochs=6,
        steps=5,
        must=("BN201",),
        may=("BN501",),
    ),
    *_both(
        "fit_frozen_on_purpose",
        "The backbone is frozen at pretrained values.",
        ("frozen",),
        make=functools.partial(_frozen, names=("conv", "conv_bn", "dense_bn"), start=pretrained),
        must=("BN102",),
    ),
    *_both(
        "fit_partly_frozen",
        "The first block is frozen at pretrained values, the second is fine-tuned.",
        ("frozen",),
        make=functools.partial(_frozen, names=("conv", "conv_bn"), start=pretrained),
        must=("BN102",),
    ),
    *_both(
        "fit_frozen_from_the_start",
        "Norm layers are set trainable=False on a new network: they stay at 0 and 1.",
        STALE,
        make=functools.partial(_frozen, names=("conv_bn", "dense_bn"), start=network),
        must=("BN101",),
    ),
    *_both(
        "fit_layer_norm",
        "LayerNormalization has no statistics.",
        ("no-batch-norm",),
        make=_layer_norm,
    ),
    Scenario(
        "keras3_fit_overfitting",
        functools.partial(
            fit,
            framework=keras,
            make=functools.partial(network, momentum=0.8),
            epochs=24,
            steps=2,
            every=4,
            random_labels=True,
        ),
        "Random classes are learnt by heart: real overfitting with healthy statistics.",
        HEALTHY,
        run="train",
    ),
    Scenario(
        "keras3_mixed_tags",
        _collided,
        "Two layers wrote one tag (weight.name); both are healthy.",
        HEALTHY,
        must=("BN904",),
    ),
    Scenario(
        "keras3_mixed_tags_one_stale",
        functools.partial(_collided, frozen=("dense_bn",)),
        "Two layers wrote one tag; the second is frozen at 0 and 1 while the rest trains.",
        STALE,
        must=("BN904", "BN101"),
    ),
    Scenario(
        "tf_keras_mirrored_replicas_disagree",
        functools.partial(_mirrored, shift=10.0),
        "Two replicas of a MirroredStrategy see N(0,1) and N(10,1).",
        ("suspect",),
        must=("BN502",),
        run="replica_0",
    ),
    Scenario(
        "tf_keras_mirrored_replicas_agree",
        functools.partial(_mirrored, shift=0.0),
        "Two replicas see the same kind of data.",
        HEALTHY,
        run="replica_0",
    ),
)
