"""TensorFlow 1: layers at pretrained values whose statistics nobody means to update."""

import functools
from collections.abc import Callable
from typing import Any

from tests.lab import tf1_net as tf1
from tests.lab.scenario import Scenario
from tests.lab.tf1_net import Net, v1
from tests.lab.tf1_training import pretrained, run

Built = tuple[Net, Any]


def _not_trainable() -> Built:
    """The first norm is built with trainable=False, in inference mode."""

    def norm(x: Any, training: Any, momentum: float, name: str) -> Any:
        first = name == "conv_bn"
        return v1.layers.batch_normalization(
            x, training=not first, momentum=momentum, name=name, trainable=not first
        )

    net = tf1.network(norm=norm)
    return net, tf1.wired(net)


def _in_inference_mode() -> Built:
    """Statistics are frozen in inference mode; gamma and beta are fine-tuned."""
    net = tf1.network(training=False)
    return net, tf1.descend(net.loss)


def _head(updates: Callable[[], list[Any]]) -> Built:
    """The head alone is trained, with layers built in training mode, whatever their updates."""
    net = tf1.network()
    with v1.control_dependencies(updates()):
        return net, tf1.descend(net.loss, var_list=v1.trainable_variables("net/logits"))


def _last_block() -> Built:
    """The first block is frozen: its weights are not trained, its updates left out."""
    net = tf1.network()
    rest = [v for v in v1.trainable_variables() if "/conv" not in v.op.name]
    updates = [update for update in tf1.update_ops() if "conv_bn" not in update.name]
    with v1.control_dependencies(updates):
        return net, tf1.descend(net.loss, var_list=rest)


def _frozen(name: str, build: Callable[[], Built], truth: str) -> Scenario:
    log = functools.partial(run, build=build, start=pretrained)
    return Scenario(name, log, truth, ("frozen",), must=("BN102",), says=("Nothing, if",))


SCENARIOS = (
    _frozen("tf1_not_trainable", _not_trainable, "The first layer has trainable=False."),
    _frozen("tf1_in_inference_mode", _in_inference_mode, "Gamma and beta are fine-tuned alone."),
    _frozen(
        "tf1_head_without_updates",
        functools.partial(_head, list),
        "The head is trained; nobody runs the updates of the frozen layers.",
    ),
    _frozen("tf1_last_block", _last_block, "Trained is what is behind the first block."),
)
