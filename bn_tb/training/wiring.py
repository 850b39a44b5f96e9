"""The ways in which people connect the updates of the moving averages to the training step.

Each wiring gets a function that makes the optimizer, the loss (scalar float32), and one operation
that runs all updates, and returns what a training step has to run. All of them train the weights;
only `control_deps`, `group` and `fetched` also update the moving averages. `inference` is wired as
`control_deps` is, and fails because its training steps feed False for the placeholder `training`.

Gradients and their application are built apart, which `Optimizer.minimize` does in one call, so
that the graph shows the one edge that matters: from the updates to `train`, where the weights
change.
"""

from collections.abc import Callable
from typing import Any

from bn_tb.training.tf1 import tf

Wiring = Callable[[Callable[[], Any], Any, Any], list[Any]]


def _control_deps(make_optimizer: Callable[[], Any], loss: Any, updates: Any) -> list[Any]:
    """What the documentation of `tf.layers.batch_normalization` says: the step needs them."""
    optimizer = make_optimizer()
    gradients = optimizer.compute_gradients(loss)
    with tf.control_dependencies([updates]):
        return [_apply(optimizer, gradients)]


def _group(make_optimizer: Callable[[], Any], loss: Any, updates: Any) -> list[Any]:
    """One operation that runs both, in no particular order: right as well."""
    optimizer = make_optimizer()
    train = _apply(optimizer, optimizer.compute_gradients(loss))
    return [tf.group(train, updates, name="train_and_update")]


def _loss(make_optimizer: Callable[[], Any], loss: Any, updates: Any) -> list[Any]:
    """A copy of the loss needs them. Its gradients do not need the copy, so nothing runs them."""
    with tf.control_dependencies([updates]):
        loss = tf.identity(loss, name="loss_after_updates")
    optimizer = make_optimizer()
    return [_apply(optimizer, optimizer.compute_gradients(loss))]


def _constructor(make_optimizer: Callable[[], Any], loss: Any, updates: Any) -> list[Any]:
    """Only the optimizer's constructor is in the block, and it makes no operations."""
    with tf.control_dependencies([updates]):
        optimizer = make_optimizer()
    return [_apply(optimizer, optimizer.compute_gradients(loss))]


def _fetched(make_optimizer: Callable[[], Any], loss: Any, updates: Any) -> list[Any]:
    """`session.run([train, updates])`: right as well, but no edge in the graph shows it."""
    optimizer = make_optimizer()
    return [_apply(optimizer, optimizer.compute_gradients(loss)), updates]


def _none(make_optimizer: Callable[[], Any], loss: Any, updates: Any) -> list[Any]:
    """The fault itself: the updates exist and nothing runs them."""
    optimizer = make_optimizer()
    return [_apply(optimizer, optimizer.compute_gradients(loss))]


def _apply(optimizer: Any, gradients: list[Any]) -> Any:
    """Puts the optimizer's variables and operations into a scope of their own."""
    with tf.variable_scope("train"):
        return optimizer.apply_gradients(gradients)


WIRINGS: dict[str, Wiring] = {
    "control_deps": _control_deps,
    "group": _group,
    "loss": _loss,
    "constructor": _constructor,
    "fetched": _fetched,
    "inference": _control_deps,
    "none": _none,
}
