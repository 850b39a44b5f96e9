"""Which ops of a graph train: the optimizers' writes, grouped into train ops."""

import dataclasses
import re

from bn_tb.graph.expression import variable_of
from bn_tb.graph.node_graph import NodeGraph
from bn_tb.graph.statistics import WRITES

# Every training kernel of TensorFlow: tensorflow/core/ops/training_ops.cc, data_flow_ops.cc.
_APPLY = re.compile(
    r"^(?:Resource)?(?:Sparse)?(?:Accumulator)?Apply[A-Z]|^(?:Resource|Sparse)*AccumulatorApplyGradient$"
)
# Scopes of tf.gradients and tf.GradientTape, and the ops they insert.
_GRADIENT_SCOPE = re.compile(r"(?:^|/)gradients?(?:_\d+|_tape)?/")
_MAX_TRAIN_OPS = 32  # models trained apart that are told apart; bounds the searches
_GRADIENT_OP = re.compile(r"Grad(?:V\d)?$|Backprop")


@dataclasses.dataclass(frozen=True)
class TrainOp:
    """Optimizer writes that run together.

    Attributes:
      name: The node to fetch, such as `train/Adam`.
      node: Its number.
      writes: The optimizer's ops.
      nodes: The writes and all that needs one of them.
    """

    name: str
    node: int
    writes: tuple[int, ...]
    nodes: tuple[int, ...]


def optimizer_writes(graph: NodeGraph, exclude: set[int]) -> list[int]:
    """Returns the ops by which optimizers write weights, in node order.

    Args:
      graph: The graph.
      exclude: Ops that are known to write something else, such as moving statistics.
    """
    kinds = {op for op in set(graph.ops) if _APPLY.match(op)}
    applies = [node for node, op in enumerate(graph.ops) if op in kinds]
    return applies or _gradient_writes(graph, exclude)


def gradient_sums(graph: NodeGraph, writes: list[int]) -> list[int]:
    """Returns the ops that add gradients to variables from which optimizers read them later.

    An accumulation of gradients over several batches: each batch is trained on, though the weights
    are written only now and then.
    """
    if not writes:
        return []
    read, own = graph.data_ancestors(writes), set(writes)
    written = {variable_of(graph, node) for node in own}
    stores = [
        node
        for node, op in enumerate(graph.ops)
        if op in WRITES
        and node not in own
        and (inputs := graph.inputs(node))
        and (variable := variable_of(graph, inputs[0][0])) >= 0
        and read[variable]
        and variable not in written
    ]
    if not stores:
        return []
    computed = graph.data_descendants(_gradients(graph))
    return [
        node for node in stores if any(computed[source] for source, _ in graph.inputs(node)[1:])
    ]


def _gradients(graph: NodeGraph) -> list[int]:
    """Returns the nodes that stand in the scopes of gradients, or compute some."""
    kinds = {op for op in set(graph.ops) if _GRADIENT_OP.search(op)}
    return [
        node
        for node, (name, op) in enumerate(zip(graph.names, graph.ops, strict=True))
        if op in kinds or ("gradient" in name and _GRADIENT_SCOPE.search(name))
    ]


def _gradient_writes(graph: NodeGraph, exclude: set[int]) -> list[int]:
    """Returns plain assignments of values computed from gradients: Keras' own optimizers."""
    if not any(op in WRITES for op in graph.ops):
        return []
    stack = _gradients(graph)
    seen = bytearray(len(graph.ops))
    for node in stack:
        seen[node] = 1
    found = set()
    while stack:
        node = stack.pop()
        for user in graph.data_users(node):
            if graph.ops[user] in WRITES and user not in found:
                found.add(user)
                after = _reads_after(graph, user)
            else:
                after = [] if graph.ops[user] in WRITES else [user]
            for reached in after:
                if not seen[reached]:
                    seen[reached] = 1
                    stack.append(reached)
    return sorted(found - exclude)


def _reads_after(graph: NodeGraph, write: int) -> list[int]:
    """Returns reads that wait for a write: an optimizer's slot on its way to the weight."""
    return [user for user in graph.users(write) if graph.ops[user] == "ReadVariableOp"]


def train_ops(
    graph: NodeGraph, writes: list[int], collection: frozenset[str], together: bool
) -> list[TrainOp]:
    """Returns the writes in groups that have a node in common which needs them.

    Args:
      graph: The graph.
      writes: The optimizer's ops.
      collection: Names in the `train_op` collection.
      together: Whether all of them run together, as in a tf.function.
    """
    after = graph.descendants(writes)
    nodes = [node for node, reached in enumerate(after) if reached]
    group = {node: node for node in nodes}

    def leader(node: int) -> int:
        while group[node] != node:
            group[node] = group[group[node]]
            node = group[node]
        return node

    for node in nodes:
        for user in graph.users(node):
            group[leader(user)] = leader(node)
    members: dict[int, list[int]] = {}
    for node in nodes:
        members.setdefault(leader(node), []).append(node)
    of_optimizer = set(writes)
    found = []
    groups = list(members.values())
    if together or len(groups) > _MAX_TRAIN_OPS:
        groups = [nodes] if nodes else []
    for nodes in groups:
        fetch = _to_fetch(graph, nodes, collection)
        own = tuple(node for node in nodes if node in of_optimizer)
        found.append(TrainOp(graph.names[fetch], fetch, own, tuple(nodes)))
    return found


def _to_fetch(graph: NodeGraph, nodes: list[int], collection: frozenset[str]) -> int:
    """Returns what the optimizer registered, or else the group that needs all the rest."""
    registered = [node for node in nodes if graph.names[node] in collection]
    groups = [node for node in nodes if graph.ops[node] == "NoOp"]
    last = [node for node in nodes if not graph.users(node)]
    return (registered or [n for n in groups if n in last] or groups or last or nodes)[-1]


def trained_variables(graph: NodeGraph, writes: list[int]) -> set[int]:
    """Returns the variables that an optimizer writes."""
    firsts = (graph.inputs(node)[:1] for node in writes)
    return {variable_of(graph, first[0][0]) for first in firsts if first}
