"""TensorFlow 1: batch renormalisation, which trains on averages of its own."""

import functools
from typing import Any

from tests.lab import tf1_net as tf1
from tests.lab.scenario import Scenario
from tests.lab.tf1_net import Net, v1
from tests.lab.tf1_training import run


def _norm(own: float | None, x: Any, training: Any, momentum: float, name: str) -> Any:
    """tf.layers.batch_normalization; its averages have the momentum `own`, or the same one."""
    return v1.layers.batch_normalization(
        x,
        training=training,
        momentum=momentum,
        name=name,
        renorm=True,
        renorm_momentum=momentum if own is None else own,
    )


def _build(
    own: float | None = None, wired: bool = True, momentum: float = 0.9, training: Any = True
) -> tuple[Net, Any]:
    net = tf1.network(training, momentum, norm=functools.partial(_norm, own))
    return net, tf1.wired(net) if wired else tf1.descend(net.loss)


def _switched(net: Net, step: int) -> dict[Any, Any]:
    return {net.training: True}


def _evaluated(logdir: str, momentum: float, own: float, steps: int) -> None:
    run(
        logdir,
        functools.partial(_build, own, momentum=momentum, training=None),
        feed=_switched,
        steps=steps,
        every=5,
        evaluate_every=10,
    )


SCENARIOS = (
    Scenario(
        "tf1_renorm",
        functools.partial(run, build=_build, steps=100, every=5),
        "Batch renormalisation with momentum 0.9, wired.",
        ("healthy",),
    ),
    Scenario(
        "tf1_renorm_unwired",
        functools.partial(run, build=functools.partial(_build, wired=False)),
        "Nothing updates the averages: training normalised with 0 and 1 too.",
        ("stale",),
        must=("BN101",),
        causes=("BN401",),
        says=("so did training", "train the network anew"),
    ),
    Scenario(
        "tf1_renorm_lagging_as_training_does",
        functools.partial(_evaluated, momentum=0.999, own=0.999, steps=60),
        "0.999 and 60 steps: 94 % is left, and evaluation computes what training did.",
        ("lagging",),
        must=("BN201",),
        run="train",
        says=("and so does training", "nothing to fill in"),
    ),
    Scenario(
        "tf1_renorm_lagging_behind_training",
        functools.partial(_evaluated, momentum=0.999, own=0.9, steps=200),
        "0.999 and 200 steps: 82 % is left in evaluation, and nothing in training.",
        ("lagging",),
        must=("BN201", "BN501"),
        run="train",
        says=("renorm_stddev", "copy"),
    ),
)
