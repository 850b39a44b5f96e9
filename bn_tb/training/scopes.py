"""What belongs to one model of a graph: its variables, its moving statistics, their updates."""

import re
from typing import Any

from bn_tb.training.tf1 import tf

MOVING_STATISTICS = ("moving_mean", "moving_variance")


def scope_collection(key: str, scope: str) -> list[Any]:
    """Returns the members of a graph collection that were made inside `scope`, in order.

    `tf.get_collection(key, scope="ReLU")` takes its scope as the beginning of a regular expression,
    so it also returns what belongs to `ReLU_BN`, and a `.` in a scope matches any character. Here
    `scope` is a name, and the trailing slash is added.

    Args:
      key: The collection, such as `tf.GraphKeys.UPDATE_OPS`.
      scope: A variable scope, such as `BN` or `BN/conv0`, with or without the trailing slash.
    """
    return list(tf.get_collection(key, scope=re.escape(scope.rstrip("/")) + "/"))


def scope_variables(scope: str) -> list[Any]:
    """Returns every variable inside `scope`, trainable or not, as contrib's `get_variables` did."""
    return scope_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope)


def scope_moving_statistics(scope: str) -> list[Any]:
    """Returns the moving means and variances of the batch-norm layers inside `scope`.

    `tf.moving_average_variables()` does not list them: only
    `tf.train.ExponentialMovingAverage.apply` registers there. They are ordinary variables that are
    not trainable, and their names tell what they are.
    """
    return [
        variable
        for variable in scope_variables(scope)
        if variable.op.name.rpartition("/")[2] in MOVING_STATISTICS
    ]
