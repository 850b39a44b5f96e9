"""What the activations of a model look like: histograms for TensorBoard, and their moments."""

from typing import Any

from bn_tb.training import scopes
from bn_tb.training.tf1 import tf


def moments(scope: str) -> Any:
    """Adds the mean and the variance of each layer's activations to the graph.

    Over images, positions and units together, so that a layer is summed up by two numbers.

    Returns:
      Float32 `[L, 2]`, a row a layer, in order.
    """
    with tf.name_scope("activation_moments"):
        layers = scopes.scope_collection(tf.GraphKeys.ACTIVATIONS, scope)
        return tf.stack([tf.stack(tf.nn.moments(layer, axes=None)) for layer in layers])


def histograms(scope: str) -> Any:
    """Adds one histogram for each layer's activations, its tag `<variable scope>/activations`."""
    with tf.name_scope("activation_histograms"):
        return tf.summary.merge(
            [
                tf.raw_ops.HistogramSummary(
                    tag=f"{layer.op.name.rpartition('/')[0]}/activations", values=layer
                )
                for layer in scopes.scope_collection(tf.GraphKeys.ACTIVATIONS, scope)
            ]
        )
