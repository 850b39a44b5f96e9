"""Names and graphs as people have them: what is batch norm is found, what only looks so is not."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from tests.lab import pytorch_net as net_of
from tests.lab import tf1_net as tf1
from tests.lab.pytorch_net import tensorboard, torch
from tests.lab.scenario import Scenario
from tests.lab.tf1_net import v1

AVERAGES = "averages"
"""A collection of the user's own; UPDATE_OPS stays empty."""


def _averages_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    """Averages of tf.nn.moments by ExponentialMovingAverage, updated in a tf.cond."""
    with v1.variable_scope(name):
        gamma = v1.get_variable("gamma", [x.shape[-1]], initializer=v1.ones_initializer())
        beta = v1.get_variable("beta", [x.shape[-1]], initializer=v1.zeros_initializer())
        batch = v1.nn.moments(x, list(range(len(x.shape) - 1)))
        average = v1.train.ExponentialMovingAverage(momentum)
        update = v1.cond(training, lambda: average.apply(list(batch)), v1.no_op)
        v1.add_to_collection(AVERAGES, update)
        mean, variance = v1.cond(
            training,
            lambda: tuple(map(v1.identity, batch)),
            lambda: tuple(map(average.average, batch)),
        )
        return v1.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


def _histograms() -> Any:
    """The idiom of the Object Detection API: ModelVars/ before every variable."""
    summary = v1.summary.histogram
    return v1.summary.merge([summary(f"ModelVars/{v.op.name}", v) for v in v1.global_variables()])


def _averages(logdir: str, wired: bool, control_flow_v2: bool = True) -> None:
    with tf1.graph(resource=control_flow_v2, control_flow_v2=control_flow_v2):
        net = tf1.network(training=None, norm=_averages_norm)
        with v1.control_dependencies(v1.get_collection(AVERAGES) if wired else []):
            train = tf1.descend(net.loss)
        merged = [tf1.scalars(net), _histograms()]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            feed = {net.training: True}
            tf1.train(session, writer, net, train, feed=lambda _: feed, summaries=merged)
        writer.close()


def _plain_model_beside(logdir: str, slash: str, collection: str, norm: Any) -> None:
    """`ReLU` without batch norm and `ReLU_BN`, which a placeholder switches; each its train op."""
    with tf1.graph():
        plain = tf1.network(scope="ReLU", norm=lambda x, *_: x)
        other = tf1.network(training=None, scope="ReLU_BN", norm=norm)
        with v1.control_dependencies(v1.get_collection(collection, "ReLU" + slash)):
            train = tf1.descend(plain.loss, var_list=v1.trainable_variables("ReLU/"))
        with v1.control_dependencies(v1.get_collection(collection, "ReLU_BN/")):
            both = [train, tf1.descend(other.loss, var_list=v1.trainable_variables("ReLU_BN/"))]
        merged = [v1.summary.scalar("loss", other.loss), _histograms()]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            for step, images, labels in tf1.batches(60):
                feed = {plain.images: images, plain.labels: labels, other.training: True}
                feed |= {other.images: images, other.labels: labels}
                for fetched in (*both, *merged):
                    result = session.run(fetched, feed)
                    if fetched in merged:
                        writer.add_summary(result, step)
        writer.close()


def _no_batch_norm_in_its_scope(logdir: str) -> None:
    tf1.simple(logdir, _without_norm, mean=0.5, scale=1.0)


def _without_norm() -> tuple[Any, Any]:
    net = tf1.network(scope="ReLU_BN", norm=lambda x, *_: x)
    return net, tf1.descend(net.loss)


def _drawn(logdir: str, norm: Any = None, log: Callable[..., None] = lambda *_: None) -> None:
    """A run with the picture of the network: add_graph."""
    net = net_of.network(norm=norm)
    with tensorboard.SummaryWriter(logdir) as writer:
        writer.add_graph(net, torch.zeros(2, 1, 8, 8))
        net_of.finish(net_of.train(net, writer, log=log))


def _layer_norm(size: int, dims: int) -> Any:
    return torch.nn.GroupNorm(1, size)


def _two_trees(logdir: str, frozen: bool = False) -> None:
    """Statistics below `state/`, weights below `params/`, as of Haiku's two trees."""

    def log(writer: Any, net: Any, step: int) -> None:
        for name, module in net.named_children():
            for tag, tensor in _as_haiku(name, module).items():
                writer.add_histogram(tag, tensor, step)

    net = net_of.network()
    if frozen:
        net_of.freeze(net.bn1, net.bn2)
    with tensorboard.SummaryWriter(logdir) as writer:
        net_of.finish(net_of.train(net, writer, log=log))


def _as_haiku(name: str, module: Any) -> Mapping[str, Any]:
    if not hasattr(module, "running_mean"):
        return {f"params/net/{name}/w": module.weight} if name == "conv1" else {}
    return {
        f"state/net/{name}/~/mean_ema/average": module.running_mean,
        f"state/net/{name}/~/var_ema/average": module.running_var,
        f"params/net/{name}/scale": module.weight,
        f"params/net/{name}/offset": module.bias,
    }


HEALTHY = ("healthy",)

TF1_SCENARIOS = (
    *(
        Scenario(
            f"tf1_averages_by_hand_{'' if wired else 'un'}wired{old}",
            functools.partial(_averages, wired=wired, control_flow_v2=not old),
            "ExponentialMovingAverage by hand, in a condition and a collection of the user's own.",
            HEALTHY if wired else ("stale",),
            must=() if wired else ("BN101",),
            causes=() if wired else ("BN401",),
        )
        for wired in (True, False)
        for old in ("", "_by_switch")
    ),
    *(
        Scenario(
            f"tf1_scope_{'with' if slash else 'without'}_slash_{kind}",
            functools.partial(_plain_model_beside, slash=slash, collection=collection, norm=norm),
            "scope='ReLU' takes the updates of `ReLU_BN` too, behind tf.cond; 'ReLU/' does not.",
            HEALTHY if slash else ("suspect",),
            must=() if slash else ("BN409",),
        )
        for slash in ("/", "")
        for kind, collection, norm in (
            ("of_layers", "update_ops", tf1.layers_norm),
            ("by_hand", AVERAGES, _averages_norm),
        )
    ),
    Scenario(
        "tf1_dense_below_a_scope_of_batch_norm",
        _no_batch_norm_in_its_scope,
        "A network without batch norm in a scope that is named ReLU_BN.",
        ("no-batch-norm",),
    ),
)

PYTORCH_SCENARIOS = (
    Scenario(
        "torch_drawn",
        _drawn,
        "The graph is logged, the statistics are not.",
        ("not-logged",),
        must=("BN901",),
    ),
    Scenario(
        "torch_drawn_and_logged",
        functools.partial(_drawn, log=net_of.log_state),
        "The graph and the statistics are logged.",
        HEALTHY,
    ),
    Scenario(
        "torch_drawn_without_batch_norm",
        functools.partial(_drawn, norm=_layer_norm),
        "The graph shows a network without batch norm.",
        ("no-batch-norm",),
    ),
    Scenario(
        "torch_two_trees",
        _two_trees,
        "Statistics and weights are logged below two roots.",
        HEALTHY,
    ),
    Scenario(
        "torch_two_trees_frozen_weights",
        functools.partial(_two_trees, frozen=True),
        "Gamma and beta of another root stand still while the statistics move.",
        ("suspect",),
        must=("BN108",),
    ),
)
