"""What the savers of a graph write to checkpoints."""

from collections.abc import Iterable

from bn_tb.graph.expression import variable_of
from bn_tb.graph.node_graph import NodeGraph

# Position of the first tensor; names are input 1: tensorflow/core/ops/io_ops.cc.
_FIRST_TENSOR = {"SaveV2": 3, "SaveSlices": 3, "Save": 2}


def savers(graph: NodeGraph) -> list[set[int]]:
    """Returns the variables that each saver writes; the shards of one saver share a scope."""
    by_scope: dict[str, set[int]] = {}
    for node, op in enumerate(graph.ops):
        if op in _FIRST_TENSOR:
            tensors = graph.inputs(node)[_FIRST_TENSOR[op] :]
            saved = by_scope.setdefault(graph.names[node].rpartition("/")[0], set())
            saved.update(variable_of(graph, source) for source, _ in tensors)
    return list(by_scope.values())


def statistics_saved(
    savers: Iterable[set[int]], weights: set[int], statistics: set[int]
) -> bool | None:
    """Returns whether savers that write a layer's weights write its statistics as well.

    Args:
      savers: See `savers`.
      weights: The layer's gamma and beta.
      statistics: Its moving variables.

    Returns:
      None if no saver writes the weights, so that nothing can be said.
    """
    of_weights = [saved for saved in savers if weights & saved]
    return any(statistics <= saved for saved in of_weights) if of_weights else None
