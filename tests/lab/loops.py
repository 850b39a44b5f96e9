"""Custom training loops: GradientTape in tf.function, Keras 3's stateless_call, own variables."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.lab import keras_fit
from tests.lab.data import STANDARDISED, batches
from tests.lab.keras_fit import keras, tf, tf_keras
from tests.lab.scenario import Scenario

Log = Callable[[int], None]


def _loss(labels: Any, logits: Any) -> Any:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(losses)


def _path(variable: Any) -> str:
    """Keras 3 has paths; elsewhere the name is one, with an output number."""
    return getattr(variable, "path", variable.name).removesuffix(":0")


def _logger(writer: Any, variables: list[Any], prefix: str = "") -> Callable[[int, Any], None]:
    """Returns a function that logs a step's loss and the variables, compiled to be quick."""

    @tf.function
    def log(step: Any, loss: Any) -> None:
        with writer.as_default():
            tf.summary.scalar("loss", loss, step)
            for variable in variables:
                tf.summary.histogram(prefix + _path(variable), variable, step)

    return lambda step, loss: log(tf.constant(step, tf.int64), loss)


def tape(
    logdir: str,
    framework: Any,
    training: bool | None = True,
    *,
    make: Callable[[Any], Any] = keras_fit.network,
    steps: int = 50,
    every: int = 1,
    trace: bool = False,
    histograms: bool = True,
    skip: Callable[[int, np.ndarray], bool] = lambda step, images: False,
    **data: float,
) -> None:
    """Trains with a GradientTape in a tf.function and logs every variable.

    Args:
      logdir: Where to log.
      framework: keras or tf_keras.
      training: What the layers are told; None leaves the argument out, as people do.
      make: Returns the model.
      steps: Number of steps.
      every: Steps between two snapshots.
      trace: Whether to log the traced function's graph.
      histograms: Whether to log the variables.
      skip: May change a batch in place; True passes it forward and skips the descent.
      **data: Mean and scale of the pictures.
    """
    model = make(framework)
    optimizer = framework.optimizers.SGD(0.05)
    optimizer.build(model.trainable_variables)
    told = {} if training is None else {"training": training}

    @tf.function
    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as recorded:
            loss = _loss(labels, model(images, **told))
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(recorded.gradient(loss, weights), weights, strict=True))
        return loss

    writer = tf.summary.create_file_writer(logdir)
    log = _logger(writer, model.variables if histograms else [])
    if trace:
        tf.summary.trace_on(graph=True)
    for index, images, labels in batches(steps, **data):
        if skip(index, images):
            model(images, **told)
            continue
        loss = step(images, labels)
        if trace and index == 1:
            with writer.as_default():
                tf.summary.trace_export("step", step=0)
        if index % every == 0 or index == 1:
            log(index, loss)
    writer.close()


def _stateless(logdir: str, keep: bool) -> None:
    """Keras 3's functional interface: the new state is returned, and has to be kept."""
    model = keras_fit.network(keras)
    trainable = [v.value for v in model.trainable_variables]
    state = [v.value for v in model.non_trainable_variables]

    @tf.function
    def step(weights: Any, state: Any, images: Any, labels: Any) -> Any:
        with tf.GradientTape() as recorded:
            recorded.watch(weights)
            logits, new = model.stateless_call(weights, state, images, training=True)
            loss = _loss(labels, logits)
        gradients = recorded.gradient(loss, weights)
        return loss, [w - 0.05 * g for w, g in zip(weights, gradients, strict=True)], new

    writer = tf.summary.create_file_writer(logdir)

    @tf.function
    def log(step: Any, loss: Any, values: list[Any]) -> None:
        with writer.as_default():
            tf.summary.scalar("loss", loss, step)
            for name, value in zip(names, values, strict=True):
                if "seed" not in name:
                    tf.summary.histogram(name, value, step)

    weights = [tf.convert_to_tensor(v) for v in trainable]
    state = [tf.convert_to_tensor(v) for v in state]
    names = [v.path for v in (*model.trainable_variables, *model.non_trainable_variables)]
    for index, images, labels in batches(50):
        loss, weights, new = step(weights, state, images, labels)
        state = new if keep else state
        log(tf.constant(index, tf.int64), loss, [*weights, *state])
    writer.close()


def _own_variables(logdir: str, update: Callable[[Any, Any, int], Any]) -> None:
    """A norm of one's own in a tf.while_loop of ten steps, logged between the loops."""
    noise = np.random.default_rng(0)
    with tf.name_scope("own_norm"):
        gamma = tf.Variable(tf.ones(6), name="gamma")
        mean = tf.Variable(tf.zeros(6), name="moving_mean", trainable=False)
        variance = tf.Variable(tf.ones(6), name="moving_variance", trainable=False)

    @tf.function
    def ten_steps(x: Any) -> Any:
        for part in x:
            batch_mean, batch_variance = tf.nn.moments(part, [0])
            with tf.GradientTape() as recorded:
                y = (part - batch_mean) / tf.sqrt(batch_variance + 1e-3) * gamma
                loss = tf.reduce_mean(tf.square(tf.nn.relu(y) - 2.0))
            gamma.assign_sub(0.05 * recorded.gradient(loss, gamma))
            update(mean, batch_mean, 0)
            update(variance, batch_variance, 1)
        return loss

    writer = tf.summary.create_file_writer(logdir)
    log = _logger(writer, [gamma, mean, variance])
    for index in range(1, 21):
        x = 5.0 + 3.0 * noise.standard_normal((10, 32, 6)).astype(np.float32)
        loss = ten_steps(x)
        log(10 * index, loss)
    writer.close()


def _average(variable: Any, batch: Any, which: int) -> None:
    variable.assign_sub(0.1 * (variable - batch))


def _forgotten(variable: Any, batch: Any, which: int) -> None:
    """`variable - ...` is computed and never assigned."""
    _ = variable - 0.1 * (variable - batch)


def _mean_only(variable: Any, batch: Any, which: int) -> None:
    if which == 0:
        _average(variable, batch, which)


def _target_network(logdir: str, whole: bool) -> None:
    """A target network follows trainable_variables, or all variables."""
    online, target = keras_fit.network(tf_keras), keras_fit.network(tf_keras)
    optimizer = tf_keras.optimizers.SGD(0.05)

    @tf.function
    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as recorded:
            loss = _loss(labels, online(images, training=True))
        weights = online.trainable_variables
        optimizer.apply_gradients(zip(recorded.gradient(loss, weights), weights, strict=True))
        source = online.variables if whole else online.trainable_variables
        copies = target.variables if whole else target.trainable_variables
        for old, new in zip(copies, source, strict=True):
            old.assign(0.9 * old + 0.1 * new)
        return loss

    writer = tf.summary.create_file_writer(logdir)
    log_online = _logger(writer, online.variables, "q_network/")
    log_target = _logger(writer, target.variables, "target_q_network/")
    for index, images, labels in batches(50):
        loss = step(images, labels)
        log_online(index, loss)
        log_target(index, loss)
    writer.close()


def _nan_at_30(step: int, images: np.ndarray) -> bool:
    if step == 30:
        images[0] = np.nan
    return step == 30


def _overflow_at_30(step: int, images: np.ndarray) -> bool:
    if step == 30:
        images[0] = 1e25
    return step == 30


def _dead_from_20(step: int, images: np.ndarray) -> bool:
    """From step 20 on the camera delivers black pictures."""
    if step >= 20:
        images[:] = 0.0
    return False


def _frozen_base(framework: Any) -> Any:
    model = keras_fit.pretrained(framework)
    for name in ("conv", "conv_bn"):
        model.get_layer(name).trainable = False
    return model


def _with_momentum(momentum: float) -> Callable[[Any], Any]:
    return functools.partial(keras_fit.network, momentum=momentum)


STALE = ("stale",)
BROKEN = ("broken",)
HEALTHY = ("healthy",)


def _tape(framework: Any, *arguments: Any, **options: Any) -> Callable[[str], None]:
    return lambda logdir: tape(logdir, framework, *arguments, **options)


SCENARIOS = (
    Scenario(
        "keras3_tape_without_training",
        _tape(keras, None, **STANDARDISED),
        "model(x) in a GradientTape without training=True.",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "tf_keras_tape_without_training",
        _tape(tf_keras, None, trace=True, **STANDARDISED),
        "model(x) without training=True, with the traced function logged.",
        STALE,
        must=("BN101",),
        causes=("BN403",),
    ),
    Scenario(
        "tf_keras_tape_training_false_graph_only",
        _tape(tf_keras, False, trace=True, histograms=False, steps=10, **STANDARDISED),
        "training=False in the traced step; no histogram is logged.",
        STALE,
        must=("BN403",),
    ),
    Scenario(
        "keras3_tape_training_false_graph_only",
        _tape(keras, False, trace=True, histograms=False, steps=10),
        "The same with Keras 3, whose op names are generic.",
        STALE,
        must=("BN403",),
    ),
    Scenario(
        "keras3_stateless_state_dropped",
        functools.partial(_stateless, keep=False),
        "stateless_call returns new statistics and nobody keeps them.",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "tf_function_update_forgotten",
        functools.partial(_own_variables, update=_forgotten),
        "The new average is computed and never assigned.",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "tf_function_variance_forgotten",
        functools.partial(_own_variables, update=_mean_only),
        "Only the mean is assigned.",
        STALE,
        must=("BN105",),
    ),
    Scenario(
        "tf_keras_target_network_weights_only",
        functools.partial(_target_network, whole=False),
        "The target network follows trainable_variables and keeps statistics of 0 and 1.",
        STALE,
        must=("BN107",),
    ),
    Scenario(
        "keras3_tape_lagging",
        _tape(keras, make=_with_momentum(0.999), steps=60, every=3),
        "0.999 and 60 steps, and no graph that says so.",
        ("lagging",),
        must=("BN201",),
    ),
    Scenario(
        "tf_keras_tape_swapped_momentum",
        _tape(tf_keras, make=_with_momentum(0.01), steps=80),
        "PyTorch's 0.01 given to Keras.",
        ("suspect",),
        must=("BN203",),
        may=("BN204",),
    ),
    Scenario(
        "keras3_tape_nan",
        _tape(keras, skip=_nan_at_30),
        "A batch with NaN passes through; its descent is skipped, its statistics stay.",
        BROKEN,
        must=("BN301",),
    ),
    Scenario(
        "tf_keras_tape_infinite",
        _tape(tf_keras, skip=_overflow_at_30),
        "A batch of 1e25 overflows in the squares.",
        BROKEN,
        must=("BN301",),
    ),
    Scenario(
        "tf_keras_tape_black_pictures",
        _tape(tf_keras, skip=_dead_from_20, steps=160, every=4),
        "Black pictures from step 20 on: no channel varies any more.",
        BROKEN,
        must=("BN303",),
    ),
    Scenario(
        "keras3_tape",
        _tape(keras, trace=True),
        "training=True, with the traced function logged.",
        HEALTHY,
    ),
    Scenario(
        "tf_keras_tape",
        _tape(tf_keras, trace=True),
        "training=True, with the traced function logged.",
        HEALTHY,
    ),
    Scenario(
        "tf_keras_tape_graph_only",
        _tape(tf_keras, trace=True, histograms=False, steps=10),
        "A wired trace; no histogram is logged.",
        ("not-logged",),
        must=("BN901",),
    ),
    Scenario(
        "keras3_stateless_state_kept",
        functools.partial(_stateless, keep=True),
        "stateless_call with its new statistics fed to the next step.",
        HEALTHY,
    ),
    Scenario(
        "tf_function_own_norm",
        functools.partial(_own_variables, update=_average),
        "A norm of one's own in a loop of ten steps, logged between the loops.",
        HEALTHY,
    ),
    Scenario(
        "tf_keras_target_network_whole",
        functools.partial(_target_network, whole=True),
        "The target network follows all variables.",
        HEALTHY,
    ),
    Scenario(
        "keras3_tape_fine_tuning",
        _tape(keras, make=_frozen_base),
        "The first block is frozen at pretrained values.",
        ("frozen",),
        must=("BN102",),
    ),
    Scenario(
        "keras3_tape_sparse",
        _tape(keras, steps=90, every=45),
        "Three snapshots of 90 steps.",
        HEALTHY,
    ),
)
