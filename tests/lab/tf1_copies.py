"""TensorFlow 1: target networks, whose variables are assigned from those of another network."""

import functools
from typing import Any

from tests.lab import tf1_net as tf1
from tests.lab.data import SIDE
from tests.lab.scenario import Scenario
from tests.lab.tf1_net import v1


def _target_network(
    logdir: str,
    collection: str = "trainable_variables",
    share: float = 1.0,
    training: bool = False,
    with_train: bool = False,
) -> None:
    """Assigns a share of the online network's variables, every tenth step or in each train op."""
    with tf1.graph():
        images = v1.placeholder(v1.float32, [None, SIDE, SIDE, 1])
        labels = v1.placeholder(v1.int32, [None])
        net = tf1.network(scope="q_network", images=images, labels=labels)
        tf1.network(scope="target_network", images=images, labels=labels, training=training)
        with v1.control_dependencies(tf1.update_ops("q_network/")):
            train = tf1.descend(net.loss, var_list=v1.trainable_variables("q_network/"))
        with v1.control_dependencies([train] if with_train else []):
            sync = v1.group(*_assignments(collection, share))
        merged = [tf1.scalars(net), tf1.histograms()]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:

            def after(step: int) -> None:
                if not with_train and step % 10 == 0:
                    session.run(sync)

            fetched = sync if with_train else train
            tf1.train(session, writer, net, fetched, 100, summaries=merged, after=after)
        writer.close()


def _assignments(collection: str, share: float) -> list[Any]:
    targets, sources = (
        sorted(v1.get_collection(collection, scope), key=lambda variable: variable.op.name)
        for scope in ("target_network/", "q_network/")
    )
    return [
        v1.assign(target, share * source.read_value() + (1 - share) * target)
        for target, source in zip(targets, sources, strict=True)
    ]


SCENARIOS = (
    *(
        Scenario(
            f"tf1_target_network_{name}",
            functools.partial(_target_network, **options),
            "The target network takes over the trainable variables and no statistics.",
            ("stale",),
            must=("BN107",),
            says=("GLOBAL_VARIABLES",),
        )
        for name, options in (
            ("taken_over", {}),
            ("averaged_with_train", {"share": 0.05, "with_train": True}),
            ("in_training_mode", {"training": True}),
        )
    ),
    *(
        Scenario(
            f"tf1_target_network_whole{'_averaged' if share < 1 else ''}",
            functools.partial(
                _target_network, collection="variables", share=share, with_train=share < 1
            ),
            "The target network takes over all variables.",
            ("healthy",),
        )
        for share in (1.0, 0.2)
    ),
)
