"""TensorFlow 1: unusual models that are healthy, and things that only look like batch norm."""

import functools
from collections.abc import Callable
from typing import Any

from tests.lab import tf1_net as tf1
from tests.lab.data import pictures
from tests.lab.scenario import Scenario
from tests.lab.tf1_net import Net, v1
from tests.lab.tf1_training import pretrained, restore
from tests.lab.tf1_wiring import hand_variables

Built = tuple[Net, Any]


def _dependencies(norm: Callable[..., Any], training: Any = True, **options: Any) -> Built:
    net = tf1.network(norm=norm, training=training, **options)
    return net, tf1.wired(net)


def _debiased_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    """contrib.layers' zero_debias_moving_mean: `biased` and `local_step` correct the start."""
    from tensorflow.python.training import moving_averages

    with v1.variable_scope(name):
        gamma, beta, mean, variance = hand_variables(x)
        batch_mean, batch_variance = v1.nn.moments(x, list(range(len(x.shape) - 1)))
        for variable, batch in ((mean, batch_mean), (variance, batch_variance)):
            update = moving_averages.assign_moving_average(
                variable, batch, momentum, zero_debias=True
            )
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
        return v1.nn.batch_normalization(x, batch_mean, batch_variance, beta, gamma, 1e-3)


def _pointnet_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    """PointNet's: ExponentialMovingAverage of the moments, with a decay that moves, and tf.cond."""
    with v1.variable_scope(name):
        beta = v1.get_variable("beta", [x.shape[-1]], initializer=v1.zeros_initializer())
        gamma = v1.get_variable("gamma", [x.shape[-1]], initializer=v1.ones_initializer())
        axes = list(range(len(x.shape) - 1))
        batch_mean, batch_variance = v1.nn.moments(x, axes, name="moments")
        step = v1.cast(v1.train.get_or_create_global_step(), v1.float32)
        decay = v1.cond(training, lambda: v1.minimum(0.9, 0.5 + step / 100), lambda: 1.0)
        average = v1.train.ExponentialMovingAverage(decay)
        apply = average.apply([batch_mean, batch_variance])
        with v1.control_dependencies([apply]):
            mean, variance = v1.cond(
                training,
                lambda: (v1.identity(batch_mean), v1.identity(batch_variance)),
                lambda: (average.average(batch_mean), average.average(batch_variance)),
            )
        return v1.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


def _pointnet(logdir: str) -> None:
    with tf1.graph(resource=False, control_flow_v2=False):
        net = tf1.network(training=None, norm=_pointnet_norm)
        train = v1.train.GradientDescentOptimizer(0.05).minimize(
            net.loss, global_step=v1.train.get_global_step()
        )
        floats = [v for v in v1.global_variables() if v.dtype.base_dtype == v1.float32]
        merged = [tf1.scalars(net), tf1.histograms(floats)]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            feed = {net.training: True}
            tf1.train(session, writer, net, train, feed=lambda _: feed, summaries=merged)
        writer.close()


def _layer_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    with v1.variable_scope(f"layer_norm_{name[0]}"):
        gamma = v1.get_variable("gamma", [x.shape[-1]], initializer=v1.ones_initializer())
        beta = v1.get_variable("beta", [x.shape[-1]], initializer=v1.zeros_initializer())
        mean, variance = v1.nn.moments(x, list(range(1, len(x.shape))), keepdims=True)
        return v1.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


def _weight_average(norm: Callable[..., Any], shadow_statistics: bool = False) -> Built:
    """An ExponentialMovingAverage of the weights, or of all variables, for evaluation."""
    net = tf1.network(norm=norm)
    train = tf1.wired(net)
    followed = v1.global_variables() if shadow_statistics else v1.trainable_variables()
    average = v1.train.ExponentialMovingAverage(0.99)
    with v1.control_dependencies([train]):
        return net, average.apply(followed)


def _gan(logdir: str, phases: bool = False, slash: str = "") -> None:
    """A GAN whose discriminator is applied to real and fake data and shares its batch norm.

    The second application's ops are below `discriminator_1/`, so that a `slash` misses them.
    """
    with tf1.graph():
        real = v1.placeholder(v1.float32, [None, 16])
        noise = v1.random_normal([32, 4])
        with v1.variable_scope("generator"):
            hidden = v1.layers.dense(noise, 8)
            hidden = tf1.layers_norm(hidden, True, 0.9, "bn")
            fake = v1.layers.dense(v1.nn.relu(hidden), 16)

        def discriminator(x: Any) -> Any:
            with v1.variable_scope("discriminator", reuse=v1.AUTO_REUSE):
                x = tf1.layers_norm(v1.layers.dense(x, 8, name="dense"), True, 0.9, "bn")
                return v1.reduce_mean(v1.layers.dense(v1.nn.relu(x), 1, name="logits"))

        loss = discriminator(fake) - discriminator(real)
        trains = []
        for scope, sign in (("discriminator", 1.0), ("generator", -1.0)):
            with v1.control_dependencies(tf1.update_ops(scope + slash)):
                weights = v1.trainable_variables(scope)
                trains.append(tf1.descend(sign * loss, rate=0.01, var_list=weights))
        merged = [v1.summary.scalar("loss", loss), tf1.histograms()]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            for step in range(1, 81):
                images, _ = pictures(32, seed=step, mean=3.0, scale=1.0)
                feed = {real: images.reshape(32, 64)[:, :16]}
                session.run(trains[step // 10 % 2] if phases else trains, feed)
                for summary in merged:
                    writer.add_summary(session.run(summary, feed), step)
        writer.close()


def _tutorial(logdir: str) -> None:
    """TensorBoard's own tutorial on histograms: a moving mean that is no batch norm's."""
    with tf1.graph():
        k = v1.placeholder(v1.float32)
        moving = v1.random_normal([1000], mean=5 * k, stddev=1)
        v1.summary.histogram("normal/moving_mean", moving)
        shrinking = v1.random_normal([1000], mean=0, stddev=1 - k)
        v1.summary.histogram("normal/shrinking_variance", shrinking)
        merged = v1.summary.merge_all()
        writer = v1.summary.FileWriter(logdir)
        with tf1.session() as session:
            for step in range(60):
                writer.add_summary(session.run(merged, {k: step / 60}), step)
        writer.close()


def _evaluations(logdir: str, trained_between: bool) -> None:
    """A run that only evaluates: one checkpoint again and again, or one that training renews."""
    with tf1.graph():
        net = tf1.network(training=None)
        train = tf1.wired(net)
        merged = [tf1.scalars(net), tf1.histograms()]
        writer = v1.summary.FileWriter(logdir)
        with tf1.session() as session:
            restore(session, pretrained())

            def after(step: int) -> None:
                if step % 10 == 0:
                    for summary in merged:
                        tf1.evaluate(session, writer, net, summary, step)

            fetches = train if trained_between else net.loss
            feed = {net.training: trained_between}
            tf1.train(
                session, writer, net, fetches, feed=lambda _: feed, after=after, steps=40, mean=60.0
            )
        writer.close()


def _simple(build: Callable[..., Built], *arguments: Any, **options: Any) -> Callable[[str], None]:
    return functools.partial(tf1.simple, build=functools.partial(build, *arguments), **options)


HEALTHY = ("healthy",)

SCENARIOS = (
    Scenario(
        "tf1_zero_debiased",
        _simple(lambda: _dependencies(_debiased_norm, momentum=0.999), steps=100),
        "A zero-debiased average of 0.999 holds nothing of its initial value after 100 steps.",
        HEALTHY,
    ),
    Scenario(
        "tf1_pointnet",
        _pointnet,
        "ExponentialMovingAverage of the moments in tf.cond, with a decay that moves.",
        # Its tags say neither mean nor variance; only the graph can tell them apart.
        ("healthy", "not-logged"),
    ),
    Scenario(
        "tf1_layer_norm",
        _simple(_dependencies, _layer_norm, mean=0.5, scale=1.0),
        "Layer normalisation has no statistics.",
        ("no-batch-norm",),
    ),
    Scenario(
        "tf1_weight_average_without_batch_norm",
        _simple(_weight_average, _layer_norm, mean=0.5, scale=1.0),
        "An average of the weights, without any batch norm.",
        ("no-batch-norm",),
    ),
    Scenario(
        "tf1_weight_average",
        _simple(_weight_average, tf1.layers_norm),
        "An average of the weights beside a healthy batch norm; its statistics are not copied.",
        HEALTHY,
    ),
    Scenario(
        "tf1_weight_average_of_everything",
        _simple(_weight_average, tf1.layers_norm, True),
        "moving_mean/ExponentialMovingAverage is a slow copy, not the layer's own statistic.",
        HEALTHY,
    ),
    Scenario(
        "tf1_gan",
        _gan,
        "D(real) and D(fake) share a network: two updates a step, on purpose.",
        HEALTHY,
        must=("BN406",),
    ),
    Scenario(
        "tf1_gan_statistics_of_fakes",
        functools.partial(_gan, slash="/"),
        "Only one application's updates are wired: every variable still gets an update.",
        HEALTHY,
        must=("BN405",),
    ),
    Scenario(
        "tf1_gan_in_phases",
        functools.partial(_gan, phases=True),
        "Discriminator and generator are trained in phases of 10 steps.",
        HEALTHY,
    ),
    Scenario(
        "tf1_histogram_tutorial",
        _tutorial,
        "normal/moving_mean of TensorBoard's tutorial is a random variable.",
        ("no-batch-norm",),
    ),
    Scenario(
        "tf1_one_checkpoint_evaluated_often",
        functools.partial(_evaluations, trained_between=False),
        "An evaluation job that meets the same checkpoint each time.",
        # Constant at pretrained values is BN102's description; without training it may abstain.
        ("frozen", "insufficient"),
    ),
    Scenario(
        "tf1_new_checkpoints_evaluated",
        functools.partial(_evaluations, trained_between=True),
        "An evaluation job beside a training: statistics move from checkpoint to checkpoint.",
        HEALTHY,
    ),
)
