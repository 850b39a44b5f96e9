"""Graphs as TensorFlow and Keras really build them, one function a way of wiring batch norm.

Run as a program (it imports tensorflow, and legacy Keras) it writes {name: [(kind, data), ...]} to
the file given, so that one process serves every test.
"""

import os
import pathlib
import pickle
import sys
import tempfile

os.environ.update(
    TF_USE_LEGACY_KERAS="1",  # tf.compat.v1.layers needs tf_keras
    TF_CPP_MIN_LOG_LEVEL="3",
    CUDA_VISIBLE_DEVICES="-1",
)

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.training import moving_averages

from bn_tb.sources import logdir

v1 = tf.compat.v1
UPDATE_OPS = v1.GraphKeys.UPDATE_OPS


def network(training=True, scope="", momentum=0.97, **layer):
    """A convolution and a dense layer, both with batch norm; returns the loss."""
    with v1.variable_scope(scope or v1.get_variable_scope(), reuse=v1.AUTO_REUSE):
        x = v1.placeholder(tf.float32, [None, 6, 6, 3], name="x")
        h = v1.layers.conv2d(x, 4, 3, name="conv")
        h = v1.layers.batch_normalization(
            h, training=training, momentum=momentum, name="bn1", **layer
        )
        h = v1.layers.dense(v1.layers.flatten(h), 3, name="dense")
        h = v1.layers.batch_normalization(
            h, training=training, momentum=momentum, name="bn2", **layer
        )
        return tf.reduce_mean(tf.square(h), name="loss")


def updates(scope=None):
    return v1.get_collection(UPDATE_OPS, scope)


def minimize(loss, optimizer=None, **options):
    return (optimizer or v1.train.GradientDescentOptimizer(0.1)).minimize(loss, **options)


def with_dependencies(loss, **options):
    with tf.control_dependencies(updates()):
        return minimize(loss, **options)


def training_placeholder():
    return v1.placeholder(tf.bool, [], name="training")


# Ways of wiring: failure_modes E3.
def wired():
    with_dependencies(network())


def unwired():
    minimize(network())


def grouped():
    train = minimize(network(), v1.train.GradientDescentOptimizer(0.1))
    tf.group(train, *updates(), name="train_group")


def wired_to_loss():
    loss = network()
    with tf.control_dependencies(updates()):
        loss = tf.identity(loss, name="loss_with_updates")
    minimize(loss)
    v1.summary.scalar("loss", loss)


def wired_to_constructor():
    loss = network()
    with tf.control_dependencies(updates()):
        optimizer = v1.train.MomentumOptimizer(0.1, 0.9)
    minimize(loss, optimizer)


def fetched_as_a_group():
    minimize(network())
    tf.group(*updates(), name="all_updates")
    v1.train.Saver()
    v1.summary.merge([v1.summary.histogram("mm", v) for v in v1.global_variables()])
    v1.global_variables_initializer()


def collected_too_early():
    early = updates()
    loss = network()
    with tf.control_dependencies(early):
        minimize(loss)


def training_tensor_wired():
    with_dependencies(network(training_placeholder()))


def training_tensor_unwired():
    minimize(network(training_placeholder()))


def placeholder_with_default():
    with_dependencies(network(v1.placeholder_with_default(False, [], name="is_training")))


def global_step_and_clipping():
    loss = network()
    optimizer = v1.train.RMSPropOptimizer(0.1)
    step = v1.train.get_or_create_global_step()
    pairs = [(tf.clip_by_norm(g, 1.0), v) for g, v in optimizer.compute_gradients(loss)]
    with tf.control_dependencies(updates()):
        optimizer.apply_gradients(pairs, global_step=step)


def plain_assignments_wired():
    """An optimizer written by hand."""
    loss = network()
    weights = v1.trainable_variables()
    with tf.control_dependencies(updates()):
        steps = [
            v1.assign_sub(w, 0.1 * g)
            for w, g in zip(weights, tf.gradients(loss, weights), strict=True)
        ]
    tf.group(*steps, name="train_step")


def plain_assignments_unwired():
    loss = network()
    weights = v1.trainable_variables()
    steps = [
        v1.assign_sub(w, 0.1 * g) for w, g in zip(weights, tf.gradients(loss, weights), strict=True)
    ]
    tf.group(*steps, name="train_step")


# No verdict, or another one.
def inference_mode_trains():
    with_dependencies(network(training=False))


def inference_only():
    network(training=False)
    v1.train.Saver()


def evaluates_with_batch_statistics():
    network(training=True)


def gradients_without_optimizer():
    loss = network(training=True)
    tf.gradients(loss, v1.trainable_variables())


def statistics_only_saved_by_the_second_saver():
    wired()
    v1.train.Saver(v1.trainable_variables(), name="save_pretrained")
    v1.train.Saver(name="save_all")


def saver_without_statistics():
    wired()
    v1.train.Saver(v1.trainable_variables())


# Several models, towers, uses.
def other_models_updates():
    """UPDATE_OPS of the prefix `ReLU` are those of `ReLU_BN`."""
    plain = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 1, name="ReLU/dense")
    loss = network(scope="ReLU_BN")
    with tf.control_dependencies(updates("ReLU")):
        minimize(tf.reduce_mean(plain), name="train_ReLU")
    with tf.control_dependencies(updates("ReLU_BN/")):
        minimize(loss, name="train_ReLU_BN")


def other_models_updates_in_cond():
    """The same where a placeholder decides: conditions pass the moments to the updates."""
    plain = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 1, name="ReLU/dense")
    loss = network(training_placeholder(), scope="ReLU_BN")
    with tf.control_dependencies(updates("ReLU")):
        minimize(tf.reduce_mean(plain), name="train_ReLU")
    with tf.control_dependencies(updates("ReLU_BN/")):
        minimize(loss, name="train_ReLU_BN")


def other_models_averages_in_cond():
    """The same with averages written by hand."""
    plain = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 1, name="ReLU/dense")
    with v1.variable_scope("ReLU_BN"):
        x = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4)
        x = hand_written(x, training_placeholder())
    with tf.control_dependencies(v1.get_collection("averages", "ReLU")):
        minimize(tf.reduce_mean(plain), name="train_ReLU")
    with tf.control_dependencies(v1.get_collection("averages", "ReLU_BN/")):
        minimize(tf.reduce_mean(x), name="train_ReLU_BN")


def hand_written(x, training):
    beta, gamma = v1.get_variable("beta", [4]), v1.get_variable("gamma", [4])
    mean, variance = tf.nn.moments(x, [0])
    average = tf.train.ExponentialMovingAverage(0.9)
    update = v1.cond(training, lambda: average.apply([mean, variance]), tf.no_op)
    v1.add_to_collection("averages", update)
    mean, variance = v1.cond(
        training,
        lambda: (tf.identity(mean), tf.identity(variance)),
        lambda: (average.average(mean), average.average(variance)),
    )
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


def averages_unwired():
    """Averages written by hand that nothing needs; UPDATE_OPS does not hold them either."""
    x = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4)
    minimize(tf.reduce_mean(hand_written(x, training_placeholder())))


def only_the_other_model_wired():
    plain = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 1, name="ReLU/dense")
    loss = network(scope="ReLU_BN")
    with tf.control_dependencies(updates("ReLU")):
        minimize(tf.reduce_mean(plain), name="train_ReLU")
    minimize(loss, name="train_ReLU_BN")


def two_models_apart():
    for scope in ("a", "ab"):
        loss = network(scope=scope)
        with tf.control_dependencies(updates(scope + "/")):
            minimize(loss, name=f"train_{scope}")


def last_tower_wired():
    optimizer = v1.train.GradientDescentOptimizer(0.1)
    gradients = []
    for tower in range(2):
        with v1.name_scope(f"tower_{tower}"):
            gradients += optimizer.compute_gradients(network(scope="net"))
            last = updates(f"tower_{tower}/")
    with tf.control_dependencies(last):
        optimizer.apply_gradients(gradients)


def gan():
    def discriminator(x):
        with v1.variable_scope("d", reuse=v1.AUTO_REUSE):
            h = v1.layers.dense(x, 4, name="dense")
            return tf.reduce_mean(v1.layers.batch_normalization(h, training=True, name="bn"))

    real = v1.placeholder(tf.float32, [None, 3])
    with v1.variable_scope("g"):
        fake = v1.layers.dense(v1.placeholder(tf.float32, [None, 2]), 3, name="dense")
        fake = v1.layers.batch_normalization(fake, training=True, name="bn")
    loss = discriminator(real) - discriminator(fake)
    with tf.control_dependencies(updates()):
        minimize(loss, var_list=v1.trainable_variables("d"), name="train_d")
        minimize(-loss, var_list=v1.trainable_variables("g"), name="train_g")


# Averages written by hand.
def averages_of_moments_in_cond():
    """PointNet: ExponentialMovingAverage of tf.nn.moments, applied in a tf.cond."""
    training = training_placeholder()
    step = v1.train.get_or_create_global_step()
    decay = tf.minimum(0.99, 1 - v1.train.exponential_decay(0.5, step, 100, 0.5))
    with v1.variable_scope("conv1/bn"):
        x = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4)
        mean, variance = tf.nn.moments(x, [0])
        average = tf.train.ExponentialMovingAverage(decay)
        apply = v1.cond(training, lambda: average.apply([mean, variance]), tf.no_op)
        with tf.control_dependencies([apply]):
            mean, variance = v1.cond(
                training,
                lambda: (tf.identity(mean), tf.identity(variance)),
                lambda: (average.average(mean), average.average(variance)),
            )
        beta, gamma = v1.get_variable("beta", [4]), v1.get_variable("gamma", [4])
        x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)
    minimize(tf.reduce_mean(x), global_step=step)


def assigned_in_place():
    """The pop_mean tutorial: plain tf.assign under tf.control_dependencies."""
    x = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4)
    beta, gamma = v1.get_variable("beta", [4]), v1.get_variable("gamma", [4])
    pop_mean = v1.get_variable("my_mean", initializer=tf.zeros([4]), trainable=False)
    pop_var = v1.get_variable("my_var", initializer=tf.ones([4]), trainable=False)
    mean, variance = tf.nn.moments(x, [0])
    new_mean = v1.assign(pop_mean, pop_mean * 0.95 + mean * 0.05)
    new_var = v1.assign(pop_var, pop_var * 0.95 + variance * 0.05)
    with tf.control_dependencies([new_mean, new_var]):
        x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)
    test = tf.nn.batch_normalization(
        v1.placeholder(tf.float32, [None, 4]), pop_mean, pop_var, beta, gamma, 1e-3
    )
    tf.identity(test, name="prediction")
    minimize(tf.reduce_mean(x))


def layer_in_each_branch():
    """One layer in both branches of tf.cond, with its updates in place."""
    x = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4, name="dense")
    layer = v1.layers.BatchNormalization(momentum=0.97, name="bn")
    layer.build([None, 4])

    def train():
        h = layer(x, training=True)
        with tf.control_dependencies(layer.updates):
            return tf.identity(h)

    h = v1.cond(training_placeholder(), train, lambda: layer(x, training=False))
    minimize(tf.reduce_mean(h))


def zero_debiased():
    x = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4)
    mean, variance = tf.nn.moments(x, [0])
    with v1.variable_scope("bn"):
        moving = [
            v1.get_variable(name, [4], initializer=v1.ones_initializer(), trainable=False)
            for name in ("moving_mean", "moving_variance")
        ]
    averages = [
        moving_averages.assign_moving_average(v, m, 0.99, zero_debias=True)
        for v, m in zip(moving, (mean, variance), strict=True)
    ]
    with tf.control_dependencies(averages):
        minimize(tf.reduce_mean(tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)))


def average_of_weights_without_batch_norm():
    loss = tf.reduce_mean(v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4))
    train = minimize(loss)
    average = tf.train.ExponentialMovingAverage(0.99)
    with tf.control_dependencies([train]):
        average.apply([*v1.trainable_variables(), loss])


def average_of_weights_beside_batch_norm():
    train = with_dependencies(network())
    average = tf.train.ExponentialMovingAverage(0.999)
    with tf.control_dependencies([train]):
        average.apply(v1.trainable_variables() + v1.moving_average_variables())
        average.apply([v for v in v1.global_variables() if "moving" in v.op.name])


def other_initial_values():
    with_dependencies(
        network(
            moving_mean_initializer=v1.random_normal_initializer(),
            moving_variance_initializer=v1.constant_initializer(0.5),
        )
    )


# Function libraries and loops.
def layer_in_a_called_function():
    layer = tf_keras.layers.BatchNormalization(momentum=0.9, name="bn")
    layer.build([None, 4])
    x = v1.layers.dense(v1.placeholder(tf.float32, [None, 3]), 4)
    minimize(tf.reduce_mean(tf.function(layer)(x, training=True)))


def trained_in_a_loop():
    def body(i):
        with tf.control_dependencies([with_dependencies(network())]):
            return i + 1

    v1.while_loop(lambda i: i < 3, body, [tf.constant(0)])


# Keras layers in a TF1 graph.
def keras_layers_unwired():
    x = v1.placeholder(tf.float32, [None, 3])
    h = tf_keras.layers.Dense(4)(x)
    h = tf_keras.layers.BatchNormalization(momentum=0.8)(h)
    minimize(tf.reduce_mean(h))


def keras_layers_wired_by_hand():
    x = v1.placeholder(tf.float32, [None, 3])
    layer = tf_keras.layers.BatchNormalization(momentum=0.8)
    h = layer(tf_keras.layers.Dense(4)(x), training=True)
    with tf.control_dependencies(layer.updates):
        minimize(tf.reduce_mean(h))


def keras_model_fit_in_a_graph():
    model = keras_model(tf_keras)
    model.compile(tf_keras.optimizers.legacy.SGD(), "mse")
    model.fit(np.zeros((4, 6, 6, 3)), np.zeros((4, 3)), epochs=1, verbose=0)


def keras_model(library):
    return library.Sequential(
        [
            library.layers.Input((6, 6, 3)),
            library.layers.Conv2D(4, 3, name="conv"),
            library.layers.BatchNormalization(momentum=0.97, name="bn1"),
            library.layers.Flatten(),
            library.layers.Dense(3, name="dense"),
            library.layers.BatchNormalization(momentum=0.97, name="bn2"),
        ]
    )


GRAPHS = (
    *(wired, unwired, grouped, wired_to_loss, wired_to_constructor, fetched_as_a_group),
    *(collected_too_early, training_tensor_wired, training_tensor_unwired),
    *(placeholder_with_default, global_step_and_clipping, plain_assignments_wired),
    *(plain_assignments_unwired, inference_mode_trains, inference_only),
    *(evaluates_with_batch_statistics, gradients_without_optimizer),
    *(statistics_only_saved_by_the_second_saver, saver_without_statistics),
    *(other_models_updates, only_the_other_model_wired, two_models_apart, last_tower_wired, gan),
    *(other_models_updates_in_cond, other_models_averages_in_cond, averages_unwired),
    *(averages_of_moments_in_cond, assigned_in_place, zero_debiased, layer_in_each_branch),
    *(average_of_weights_without_batch_norm, average_of_weights_beside_batch_norm),
    *(other_initial_values, layer_in_a_called_function, trained_in_a_loop),
    *(keras_layers_unwired, keras_layers_wired_by_hand, keras_model_fit_in_a_graph),
)
NO_OLD_VARIABLES = {
    *(layer_in_a_called_function, trained_in_a_loop, keras_model_fit_in_a_graph),
    *(keras_layers_unwired, keras_layers_wired_by_hand, zero_debiased),
    layer_in_each_branch,
}
WITH_CONDITIONS = (
    *(training_tensor_wired, training_tensor_unwired, placeholder_with_default),
    *(averages_of_moments_in_cond, layer_in_each_branch, averages_unwired),
    *(other_models_updates_in_cond, other_models_averages_in_cond),
)


def in_a_graph(build) -> list[tuple[str, bytes]]:
    with tf.Graph().as_default() as graph:
        with v1.Session(graph=graph).as_default():
            build()
        meta = v1.train.export_meta_graph(graph=graph)
    return [
        ("graph_def", graph.as_graph_def().SerializeToString()),
        ("meta_graph_def", meta.SerializeToString()),
    ]


def all_graphs() -> dict[str, list[tuple[str, bytes]]]:
    zoo = {}

    def add(kind, builds):
        zoo.update({f"{build.__name__}-{kind}": in_a_graph(build) for build in builds})

    v1.disable_control_flow_v2()
    add("switch", WITH_CONDITIONS)
    v1.disable_resource_variables()
    add("ref", [build for build in GRAPHS if build not in NO_OLD_VARIABLES])
    v1.enable_resource_variables()
    v1.enable_control_flow_v2()
    add("resource", GRAPHS)
    zoo["traced"] = traced_session(fetch_updates=False)
    zoo["traced_with_updates_fetched"] = traced_session(fetch_updates=True)
    return zoo


def traced_session(fetch_updates: bool) -> list[tuple[str, bytes]]:
    """One step of an unwired graph under RunOptions.FULL_TRACE."""
    with tf.Graph().as_default() as graph:
        train = minimize(network())
        fetches = [train, *updates()] if fetch_updates else train
        metadata = v1.RunMetadata()
        options = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            session.run(fetches, {"x:0": np.zeros([4, 6, 6, 3])}, options, metadata)
    return [
        ("graph_def", graph.as_graph_def().SerializeToString()),
        ("tagged_run_metadata", metadata.SerializeToString()),
    ]


def train_functions() -> dict[str, list[tuple[str, bytes]]]:
    """Loops of tf.function with both generations of Keras, as TensorBoard records them."""
    zoo = {}
    x, y = tf.zeros([8, 6, 6, 3]), tf.zeros([8, 3])
    for library, name in ((tf_keras, "tf_keras"), (keras, "keras3")):
        for training in (True, False):
            model = keras_model(library)
            optimizer = library.optimizers.SGD(0.1)
            optimizer.build(model.trainable_variables)
            step = train_function(model, optimizer, training)
            zoo[f"{name}-training_{training}"] = traced(
                lambda step=step: step(x, y), step.get_concrete_function(x, y).graph
            )
        model = keras_model(library)
        model.compile("adam", "mse", steps_per_execution=2)
        zoo[f"{name}-fit"] = traced(lambda model=model: model.fit(x, y, batch_size=4, verbose=0))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = keras_model(tf_keras)
        model.compile("sgd", "mse")
    zoo["tf_keras-mirrored"] = traced(lambda: model.fit(x, y, verbose=0))
    return zoo


def train_function(model, optimizer, training):
    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=training) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step


def traced(run_once, function_graph=None) -> list[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        writer = tf.summary.create_file_writer(folder)
        with writer.as_default():
            tf.summary.trace_on(graph=True)
            run_once()
            tf.summary.trace_export("step", step=0)
            if function_graph is not None:
                tf.summary.graph(function_graph)
        writer.close()
        (run,) = logdir.read_logdir(folder)
    return [(source.kind, source.data) for source in run.graphs]


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    functions = train_functions()
    v1.disable_eager_execution()
    pathlib.Path(sys.argv[1]).write_bytes(pickle.dumps({**all_graphs(), **functions}))
