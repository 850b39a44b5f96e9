"""Shows what TensorFlow 1 answers when asked for what belongs to one model of a graph.

    python scripts/show_scopes.py

Builds the models `ReLU` and `ReLU_BN` in one graph, asks for update ops, moving statistics and
variables in the ways that people try, and prints the answers for docs/studies.md.
"""

import functools

from bn_tb.training import model, scopes
from bn_tb.training.tf1 import tf


def show(question: str, answer: list) -> None:
    """Prints a question and the names of what it returned."""
    print(f">>> {question}")
    for member in answer or ["(nothing)"]:
        print(f"    {member if isinstance(member, str) else member.name}")


def main() -> None:
    """Builds the graph and asks."""
    inputs = model.placeholders()
    for name, momentum in (("ReLU", None), ("ReLU_BN", 0.99)):
        net = functools.partial(model.conv_net, recipe=model.Recipe(momentum=momentum))
        model.build_model(name, inputs, net, "control_deps", learning_rate=0.001)
    key = tf.GraphKeys.UPDATE_OPS
    show(
        'tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope="ReLU")',
        tf.get_collection(key, scope="ReLU"),
    )
    show(
        'scopes.scope_collection(tf.GraphKeys.UPDATE_OPS, "ReLU")',
        scopes.scope_collection(key, "ReLU"),
    )
    show("tf.moving_average_variables()", tf.moving_average_variables())
    show('scopes.scope_moving_statistics("ReLU_BN")', scopes.scope_moving_statistics("ReLU_BN"))
    show('scopes.scope_variables("ReLU_BN/conv0")', scopes.scope_variables("ReLU_BN/conv0"))


if __name__ == "__main__":
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        main()
