"""A classifier of images in a TensorFlow 1 graph, everything of it under one variable scope."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from bn_tb.training import scopes
from bn_tb.training.data import CLASSES, PIXELS
from bn_tb.training.tf1 import tf
from bn_tb.training.wiring import WIRINGS

FILTERS = (32, 64, 128)  # of the three convolutions
ACTIVATIONS = {"relu": tf.nn.relu, "elu": tf.nn.elu, "selu": tf.nn.selu}
INITIALIZERS = {
    "glorot_uniform": tf.initializers.glorot_uniform,
    "he_normal": tf.initializers.he_normal,
    "lecun_normal": tf.initializers.lecun_normal,
}


class Placeholders(NamedTuple):
    """What is fed; all models of a graph share it.

    Attributes:
      X: Brightness in `[0, 1]`, float32 `[B, 784]`.
      y: Classes, int32 `[B]`.
      training: Whether batch normalisation uses the statistics of the batch, bool `[]`.
    """

    X: Any
    y: Any
    training: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """What a session runs of a model.

    Attributes:
      scope: Its variable scope; the names of its variables begin with `<scope>/`.
      loss: Mean cross-entropy of the batch in nats, float32 `[]`.
      accuracy: Share of the batch that is classified rightly, 0 to 1, float32 `[]`.
      train: What a training step runs.
      histograms: Serialized summary of every moving mean and variance; None without any.
    """

    scope: str
    loss: Any
    accuracy: Any
    train: list[Any]
    histograms: Any


def placeholders() -> Placeholders:
    """Adds the placeholders to the default graph, under their own names."""
    return Placeholders(
        tf.placeholder(tf.float32, [None, PIXELS], "X"),
        tf.placeholder(tf.int32, [None], "y"),
        tf.placeholder(tf.bool, [], "training"),
    )


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a net does with the output of each of its layers, and how its weights begin.

    Attributes:
      activation: A key of `ACTIVATIONS`.
      momentum: Of batch normalisation, in `[0, 1)`; None for no batch normalisation.
      initializer: A key of `INITIALIZERS`; tf.layers' default in TensorFlow 1 is Glorot's.
      dropout: Share of the activations that alpha dropout replaces in training, in `[0, 1)`.
    """

    activation: str = "relu"
    momentum: float | None = None
    initializer: str = "glorot_uniform"
    dropout: float = 0.0

    def kernel_initializer(self) -> Any:
        """Returns the initializer, seeded by the graph.

        tf_keras has its own initializers in place of those of `tf.layers`, which take their seed
        from Python's `random` and not from the graph.
        """
        return INITIALIZERS[self.initializer]()

    def apply(self, net: Any, training: Any) -> Any:
        """Adds batch normalisation, activation and dropout as far as they are wanted.

        The activations go to the collection `tf.GraphKeys.ACTIVATIONS`.
        """
        if self.momentum is not None:
            net = tf.layers.batch_normalization(net, momentum=self.momentum, training=training)
        net = ACTIVATIONS[self.activation](net)
        tf.add_to_collection(tf.GraphKeys.ACTIVATIONS, net)
        if self.dropout:
            # Seeded here, because tf_keras would ask Python's `random`; each layer differently.
            seed = len(tf.get_collection(tf.GraphKeys.ACTIVATIONS))
            net = tf.keras.layers.AlphaDropout(self.dropout, seed=seed)(net, training=training)
        return net


def conv_net(X: Any, training: Any, recipe: Recipe) -> Any:
    """Adds three blocks of convolution, batch normalisation, activation and pooling, and a layer.

    Args:
      X: Brightness, float32 `[B, 784]`.
      training: As in `Placeholders`.
      recipe: Of the three blocks; its initializer also of the last layer.

    Returns:
      The logits, float32 `[B, 10]`.
    """
    net = tf.reshape(X, [-1, 28, 28, 1])
    for block, filters in enumerate(FILTERS):
        with tf.variable_scope(f"conv{block}"):
            net = tf.layers.conv2d(
                net,
                filters,
                3,
                padding="same",
                # Batch normalisation subtracts the mean, and with it any bias.
                use_bias=recipe.momentum is None,
                kernel_initializer=recipe.kernel_initializer(),
            )
            net = recipe.apply(net, training)
            net = tf.layers.max_pooling2d(net, 2, 2, padding="same")
    return _classify(tf.layers.flatten(net), recipe)


def dense_net(X: Any, training: Any, recipe: Recipe, depth: int, width: int) -> Any:
    """Adds fully connected layers, each followed by what the recipe says, and a last one.

    Args:
      X: Anything, float32 `[B, N]`.
      training: As in `Placeholders`.
      recipe: Of all hidden layers; its initializer also of the last layer.
      depth: Number of hidden layers, at least 1.
      width: Units of each.

    Returns:
      The logits, float32 `[B, 10]`.
    """
    net = X
    for layer in range(depth):
        with tf.variable_scope(f"dense{layer}"):
            net = tf.layers.dense(
                net,
                width,
                use_bias=recipe.momentum is None,
                kernel_initializer=recipe.kernel_initializer(),
            )
            net = recipe.apply(net, training)
    return _classify(net, recipe)


def _classify(net: Any, recipe: Recipe) -> Any:
    return tf.layers.dense(net, CLASSES, kernel_initializer=recipe.kernel_initializer())


def build_model(
    scope: str,
    inputs: Placeholders,
    net: Callable[[Any, Any], Any],
    wiring: str,
    learning_rate: float,
) -> Model:
    """Adds a model to the default graph.

    Args:
      scope: Name of its variable scope, not used before in this graph.
      inputs: The placeholders it reads.
      net: From `X` and `training` to logits, float32 `[B, 10]`.
      wiring: A key of `WIRINGS`; says who runs the updates of the moving averages.
      learning_rate: Of Adam, above 0.
    """
    with tf.variable_scope(scope):
        logits = net(inputs.X, inputs.training)
        with tf.name_scope("loss"):
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(inputs.y, logits)
            loss = tf.reduce_mean(losses)
        with tf.name_scope("accuracy"):
            right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), inputs.y)
            accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
        update_ops = scopes.scope_collection(tf.GraphKeys.UPDATE_OPS, scope)
        # A scope, because the Graphs tab moves a lone NoOp out of the picture.
        with tf.name_scope("update_ops"):
            updates = tf.group(*update_ops, name="all")
        train = WIRINGS[wiring](lambda: tf.train.AdamOptimizer(learning_rate), loss, updates)
        return Model(scope, loss, accuracy, train, _histograms(scope))


def _histograms(scope: str) -> Any:
    """Adds one histogram for each moving statistic, its tag the name of the variable.

    `tf.summary.histogram` would name the tag after its own operation, and append `_1` because the
    variable's operation has that name already.
    """
    with tf.name_scope("histograms"):
        histograms = [
            tf.raw_ops.HistogramSummary(tag=statistic.op.name, values=statistic)
            for statistic in scopes.scope_moving_statistics(scope)
        ]
        return tf.summary.merge(histograms) if histograms else None
