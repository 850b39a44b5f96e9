"""TensorFlow 1: who runs the update ops, and who does not."""

import functools
from collections.abc import Callable
from typing import Any

from tests.lab import tf1_net as tf1
from tests.lab.data import STANDARDISED
from tests.lab.scenario import Framework, Scenario
from tests.lab.tf1_net import Net, v1

tf_keras: Any = Framework("tf_keras")
Built = tuple[Net, Any]


def _keras_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    return tf_keras.layers.BatchNormalization(momentum=momentum, name=name)(x, training=training)


def in_place_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    """A layer as slim with updates_collections=None builds it: the output needs the updates."""
    with v1.variable_scope(name):
        gamma, beta, mean, variance = hand_variables(x)
        axes = list(range(len(x.shape) - 1))
        batch_mean, batch_variance = v1.nn.moments(x, axes)
        updates = [
            v1.assign_sub(mean, (mean - batch_mean) * (1 - momentum)),
            v1.assign_sub(variance, (variance - batch_variance) * (1 - momentum)),
        ]
        with v1.control_dependencies(updates):
            return v1.nn.batch_normalization(x, batch_mean, batch_variance, beta, gamma, 1e-3)


def hand_variables(x: Any) -> tuple[Any, Any, Any, Any]:
    """Returns gamma, beta, moving_mean and moving_variance for the channels of x."""

    def variable(name: str, value: float, trainable: bool = True) -> Any:
        start = v1.constant_initializer(value)
        return v1.get_variable(name, [x.shape[-1]], initializer=start, trainable=trainable)

    return (
        variable("gamma", 1.0),
        variable("beta", 0.0),
        variable("moving_mean", 0.0, trainable=False),
        variable("moving_variance", 1.0, trainable=False),
    )


def _unwired(norm: Callable[..., Any] = tf1.layers_norm) -> Built:
    net = tf1.network(norm=norm)
    return net, tf1.descend(net.loss)


def _dependencies(**options: Any) -> Built:
    net = tf1.network(**options)
    return net, tf1.wired(net)


def _collected_before_building() -> Built:
    updates = tf1.update_ops()
    net = tf1.network()
    with v1.control_dependencies(updates):
        return net, tf1.descend(net.loss)


def _keras_dependencies() -> Built:
    net = tf1.network(norm=_keras_norm)
    return net, tf1.wired(net)


def _loss_wired(fetch_loss: bool = False) -> Built:
    net = tf1.network()
    with v1.control_dependencies(tf1.update_ops()):
        loss = v1.identity(net.loss, name="loss_dep")
    train = tf1.descend(loss)
    return net, [train, loss] if fetch_loss else train


def _constructor_wired() -> Built:
    net = tf1.network()
    with v1.control_dependencies(tf1.update_ops()):
        optimizer = v1.train.GradientDescentOptimizer(0.05)
    return net, optimizer.minimize(net.loss)


def _scope_filtered() -> Built:
    net = tf1.network()
    with v1.control_dependencies(tf1.update_ops("net/conv_bn")):
        return net, tf1.descend(net.loss)


def _grouped() -> Built:
    net = tf1.network()
    return net, v1.group(tf1.descend(net.loss), *tf1.update_ops(), name="train_group")


def _fetched() -> Built:
    net = tf1.network()
    return net, [tf1.descend(net.loss), tf1.update_ops()]


def _adam() -> Built:
    net = tf1.network(training=None)
    optimizer = v1.train.AdamOptimizer(0.01)
    with v1.control_dependencies(tf1.update_ops()):
        gradients = optimizer.compute_gradients(net.loss)
        clipped = [(v1.clip_by_norm(g, 1.0), v) for g, v in gradients]
        return net, optimizer.apply_gradients(clipped)


def _siamese() -> Built:
    net = tf1.network()
    twin = tf1.network(images=net.images + 1.0, labels=net.labels)
    with v1.control_dependencies(tf1.update_ops()):
        return net, tf1.descend(net.loss + twin.loss)


def _half_wired() -> Built:
    net = tf1.network()
    means = [op for op in tf1.update_ops() if "AssignMovingAvg_1" not in op.name]
    with v1.control_dependencies(means):
        return net, tf1.descend(net.loss)


def _placeholder(logdir: str, fed: bool, **options: Any) -> None:
    with tf1.graph(**options):
        net, train = _dependencies(training=None)
        merged = [tf1.scalars(net), tf1.histograms()]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            feed = {net.training: fed}
            calm = {} if fed else STANDARDISED
            tf1.train(session, writer, net, train, feed=lambda _: feed, summaries=merged, **calm)
        writer.close()


def _adam_placeholder(logdir: str) -> None:
    with tf1.graph():
        net, train = _adam()
        # The same names as the variables, so that TensorBoard's tags get the suffix _1.
        merged = [tf1.scalars(net), tf1.histograms(v1.global_variables())]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            feed = {net.training: True}
            tf1.train(session, writer, net, train, feed=lambda step: feed, summaries=merged)
        writer.close()


def _two_models(logdir: str, trap: bool) -> None:
    """Two models `net` and `net_b`, each with its train op, trained in turns."""
    with tf1.graph():
        nets = [tf1.network(scope=scope) for scope in ("net", "net_b")]
        trains = []
        for net, scope in zip(nets, ("net", "net_b"), strict=True):
            prefix = scope if trap else scope + "/"
            weights = v1.trainable_variables(scope + "/")
            with v1.control_dependencies(tf1.update_ops(prefix)):
                trains.append(tf1.descend(net.loss, var_list=weights))
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        merged = [v1.summary.scalar("loss", nets[0].loss), tf1.histograms()]
        both = nets[1]
        with tf1.session() as session:
            for step, images, labels in tf1.batches(60):
                feed = {both.images: images, both.labels: labels}
                feed |= {nets[0].images: images, nets[0].labels: labels}
                for train in trains:
                    session.run(train, feed)
                for summary in merged:
                    writer.add_summary(session.run(summary, feed), step)
        writer.close()


def _log(build: Callable[[], Built], **options: Any) -> Callable[[str], None]:
    return functools.partial(tf1.simple, build=build, **options)


STALE = ("stale",)
HEALTHY = ("healthy",)

FAULTS = (
    Scenario(
        "tf1_unwired",
        _log(_unwired),
        "minimize() alone: nothing needs the update ops.",
        STALE,
        must=("BN101",),
        causes=("BN401",),
    ),
    Scenario(
        "tf1_unwired_ref_variables",
        _log(_unwired, resource=False, control_flow_v2=False),
        "The same with ref variables, whose update op is AssignSub.",
        STALE,
        must=("BN101",),
        causes=("BN401",),
    ),
    Scenario(
        "tf1_unwired_logged_sparsely",
        _log(_unwired, steps=60, every=30),
        "The same with three snapshots.",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "tf1_unwired_graph_only",
        _log(_unwired, log_histograms=False),
        "Unwired, with no histogram logged: the graph makes it likely.",
        STALE,
        must=("BN401",),
    ),
    Scenario(
        "tf1_collected_before_building",
        _log(_collected_before_building),
        "UPDATE_OPS was read before the layers existed and was empty.",
        STALE,
        must=("BN101",),
        causes=("BN401",),
    ),
    Scenario(
        "tf1_training_placeholder_false",
        functools.partial(_placeholder, fed=False),
        "Wired, but the training placeholder is always fed False (If, control flow v2).",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "tf1_training_placeholder_false_switch",
        functools.partial(_placeholder, fed=False, resource=False, control_flow_v2=False),
        "The same with ref variables and Switch/Merge, control flow v1.",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "tf1_training_false",
        _log(functools.partial(_dependencies, training=False), **STANDARDISED),
        "training=False in Python: there are no update ops at all.",
        STALE,
        must=("BN101",),
        causes=("BN403",),
    ),
    Scenario(
        "tf1_training_false_graph_only",
        _log(
            functools.partial(_dependencies, training=False), log_histograms=False, **STANDARDISED
        ),
        "training=False, with no histogram logged.",
        STALE,
        must=("BN403",),
    ),
    Scenario(
        "tf1_keras_layers",
        _log(_keras_dependencies),
        "Keras layers in a session: their updates are not in UPDATE_OPS.",
        STALE,
        must=("BN101",),
        causes=("BN404",),
    ),
    Scenario(
        "tf1_keras_layers_graph_only",
        _log(_keras_dependencies, log_histograms=False),
        "Keras layers in a session, with no histogram logged.",
        STALE,
        must=("BN404",),
    ),
    Scenario(
        "tf1_loss_wired",
        _log(_loss_wired),
        "The updates hang on the loss, which no gradient evaluates.",
        STALE,
        must=("BN101",),
        causes=("BN402",),
    ),
    Scenario(
        "tf1_loss_wired_graph_only",
        _log(_loss_wired, log_histograms=False),
        "Hung on the loss, with no histogram logged.",
        STALE,
        must=("BN402",),
    ),
    Scenario(
        "tf1_loss_wired_and_fetched",
        _log(functools.partial(_loss_wired, fetch_loss=True)),
        "Hung on the loss, which this program happens to fetch at every step: it works by luck.",
        ("suspect",),
        must=("BN402",),
    ),
    Scenario(
        "tf1_constructor_wired",
        _log(_constructor_wired),
        "Only the optimizer's constructor is inside control_dependencies.",
        STALE,
        must=("BN101",),
        causes=("BN401",),
    ),
    Scenario(
        "tf1_scope_filtered",
        _log(_scope_filtered),
        "UPDATE_OPS of one scope only: the second layer is never updated.",
        STALE,
        must=("BN101",),
        # The graph's part of the story may stand as a cause or beside the finding.
        may=("BN401", "BN405"),
    ),
    Scenario(
        "tf1_scope_filtered_graph_only",
        _log(_scope_filtered, log_histograms=False),
        "UPDATE_OPS of one scope only, with no histogram logged.",
        # BN405 is a warning; a layer that nothing updates is as stale as the graph can say.
        ("stale", "suspect"),
        must=("BN405",),
        may=("BN401",),
    ),
    Scenario(
        "tf1_half_wired",
        _log(_half_wired),
        "Only the update ops of the means are wired.",
        STALE,
        must=("BN105",),
        may=("BN401", "BN405"),
    ),
    Scenario(
        "tf1_cross_model_updates",
        functools.partial(_two_models, trap=True),
        "scope='net' without the slash also matches `net_b`: training net updates net_b.",
        ("suspect",),
        must=("BN409",),
    ),
)

HEALTHY_RUNS = (
    Scenario(
        "tf1_dependencies",
        _log(_dependencies),
        "The documented wiring.",
        HEALTHY,
    ),
    Scenario(
        "tf1_dependencies_ref_variables",
        _log(_dependencies, resource=False, control_flow_v2=False),
        "The documented wiring with ref variables.",
        HEALTHY,
    ),
    Scenario(
        "tf1_training_placeholder_true",
        functools.partial(_placeholder, fed=True),
        "The documented wiring with a training placeholder, control flow v2.",
        HEALTHY,
    ),
    Scenario(
        "tf1_training_placeholder_true_switch",
        functools.partial(_placeholder, fed=True, resource=False, control_flow_v2=False),
        "The documented wiring with a training placeholder, ref variables, Switch/Merge.",
        HEALTHY,
    ),
    Scenario(
        "tf1_adam_clipped",
        _adam_placeholder,
        "Adam with clipped gradients; the dependencies hold for apply_gradients.",
        HEALTHY,
    ),
    Scenario(
        "tf1_grouped",
        _log(_grouped),
        "tf.group(train_op, *update_ops): only the group reaches the updates.",
        HEALTHY,
    ),
    Scenario(
        "tf1_grouped_graph_only",
        _log(_grouped, log_histograms=False),
        "tf.group wiring, with no histogram logged.",
        ("not-logged",),
        must=("BN901",),
    ),
    Scenario(
        "tf1_fetched_in_session_run",
        _log(_fetched),
        "session.run([train_op, update_ops]): no edge in the graph, but the statistics move.",
        HEALTHY,
    ),
    Scenario(
        "tf1_updates_in_place",
        _log(functools.partial(_dependencies, norm=in_place_norm)),
        "updates_collections=None: UPDATE_OPS is empty and all is well.",
        HEALTHY,
    ),
    Scenario(
        "tf1_updates_in_place_ref_variables",
        _log(functools.partial(_dependencies, norm=in_place_norm), resource=False),
        "updates_collections=None with ref variables.",
        HEALTHY,
    ),
    Scenario(
        "tf1_two_models",
        functools.partial(_two_models, trap=False),
        "Two models in one graph, each with its own train op and updates.",
        HEALTHY,
    ),
    Scenario(
        "tf1_siamese",
        _log(_siamese),
        "A shared network applied twice: two updates of each variable a step.",
        HEALTHY,
        must=("BN406",),
    ),
    Scenario(
        "tf1_wired_nothing_logged",
        _log(_dependencies, log_histograms=False),
        "Wired, and no histogram logged: the statistics themselves cannot be judged.",
        ("not-logged",),
        must=("BN901",),
    ),
)

SCENARIOS = FAULTS + HEALTHY_RUNS
