"""TensorFlow 1 as people wrote it: a graph, a session, tf.summary ops and a FileWriter."""

import contextlib
import dataclasses
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.lab.data import CLASSES, SIDE, batches, pictures
from tests.lab.scenario import Framework

v1: Any = Framework("tensorflow.compat.v1")


@contextlib.contextmanager
def graph(resource: bool = True, control_flow_v2: bool = True, seed: int = 1) -> Iterator[Any]:
    """Enters a fresh graph with the kind of variables and of control flow asked for."""
    (v1.enable_resource_variables if resource else v1.disable_resource_variables)()
    (v1.enable_control_flow_v2 if control_flow_v2 else v1.disable_control_flow_v2)()
    try:
        with v1.Graph().as_default() as built, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            v1.set_random_seed(seed)
            random.seed(seed)  # from which tf_keras seeds the initializers of tf.layers
            yield built
    finally:
        v1.enable_resource_variables()
        v1.enable_control_flow_v2()


def layers_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    """tf.layers.batch_normalization, fused for pictures."""
    return v1.layers.batch_normalization(x, training=training, momentum=momentum, name=name)


@dataclasses.dataclass
class Net:
    """A classifier in the default graph; `training` is what its layers were given."""

    images: Any
    labels: Any
    training: Any
    logits: Any
    loss: Any
    accuracy: Any


def network(
    training: Any = True,
    momentum: float = 0.9,
    scope: str = "net",
    norm: Callable[[Any, Any, float, str], Any] = layers_norm,
    images: Any = None,
    labels: Any = None,
) -> Net:
    """Builds conv, norm, relu, dense, norm, relu, dense; `training` None makes a placeholder."""
    images = v1.placeholder(v1.float32, [None, SIDE, SIDE, 1]) if images is None else images
    labels = v1.placeholder(v1.int32, [None]) if labels is None else labels
    training = v1.placeholder(v1.bool, [], name="training") if training is None else training
    with v1.variable_scope(scope, reuse=v1.AUTO_REUSE):
        x = v1.layers.conv2d(images, 6, 3, strides=2, name="conv")
        x = v1.nn.relu(norm(x, training, momentum, "conv_bn"))
        x = v1.layers.dense(v1.layers.flatten(x), 8, name="dense")
        x = v1.nn.relu(norm(x, training, momentum, "dense_bn"))
        logits = v1.layers.dense(x, CLASSES, name="logits")
    loss = v1.reduce_mean(
        v1.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits), name="loss"
    )
    hits = v1.equal(v1.argmax(logits, 1, output_type=v1.int32), labels)
    accuracy = v1.reduce_mean(v1.cast(hits, v1.float32), name="accuracy")
    return Net(images, labels, training, logits, loss, accuracy)


def descend(loss: Any, rate: float = 0.05, var_list: Any = None) -> Any:
    """Returns the train op of plain gradient descent."""
    return v1.train.GradientDescentOptimizer(rate).minimize(loss, var_list=var_list)


def update_ops(scope: str | None = None) -> list[Any]:
    """The UPDATE_OPS collection, of a scope prefix if one is given."""
    return v1.get_collection(v1.GraphKeys.UPDATE_OPS, scope=scope)


def wired(net: Net, **options: Any) -> Any:
    """Returns the train op as the documentation wants it."""
    with v1.control_dependencies(update_ops()):
        return descend(net.loss, **options)


def histograms(variables: Sequence[Any] | None = None) -> Any:
    """Returns the merged histograms of all variables, the slim idiom."""
    chosen = v1.global_variables() if variables is None else variables
    return v1.summary.merge([v1.summary.histogram(v.op.name, v) for v in chosen])


def scalars(net: Net) -> Any:
    """Returns the merged scalars of a network."""
    return v1.summary.merge(
        [v1.summary.scalar("loss", net.loss), v1.summary.scalar("accuracy", net.accuracy)]
    )


@contextlib.contextmanager
def session() -> Iterator[Any]:
    """Opens a session on one thread with all variables initialised."""
    config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    with v1.Session(config=config) as opened:
        opened.run(v1.global_variables_initializer())
        yield opened


def train(
    opened: Any,
    writer: Any,
    net: Net,
    fetches: Any,
    steps: int = 60,
    *,
    first: int = 1,
    every: int = 1,
    feed: Callable[[int], dict[Any, Any]] = lambda step: {},
    summaries: Sequence[Any] = (),
    after: Callable[[int], None] = lambda step: None,
    size: int = 32,
    **data: float,
) -> None:
    """Runs the train op and, every few steps and apart from it, the summaries."""
    for index, images, labels in batches(steps, size, **data):
        step = first + index - 1
        values = {net.images: images, net.labels: labels, **feed(step)}
        opened.run(fetches, values)
        after(step)
        if index % every == 0 or index == 1:
            for summary in summaries:
                writer.add_summary(opened.run(summary, values), step)


def evaluate(opened: Any, writer: Any, net: Net, summary: Any, step: int, **data: float) -> None:
    """Logs the scalars of held-out pictures, normalised with the moving statistics."""
    images, labels = pictures(256, seed=99, **data)
    values = {net.images: images, net.labels: labels, net.training: False}
    writer.add_summary(opened.run(summary, values), step)


def simple(
    logdir: str,
    build: Callable[[], tuple[Net, Any]],
    *,
    resource: bool = True,
    control_flow_v2: bool = True,
    log_histograms: bool = True,
    **options: Any,
) -> None:
    """Builds (network, fetches), trains it and logs scalars, histograms and the graph."""
    with graph(resource, control_flow_v2):
        net, fetches = build()
        merged = [scalars(net)] + ([histograms()] if log_histograms else [])
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with session() as opened:
            train(opened, writer, net, fetches, summaries=merged, **options)
        writer.close()
