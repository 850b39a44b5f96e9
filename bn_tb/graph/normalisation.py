"""Where a graph normalises, and with what: the batch's statistics or the moving ones."""

import dataclasses
import math
import re
from collections.abc import Iterator

from bn_tb.graph.expression import FUSED, Output, Reader, constant, fused_attributes, is_variable
from bn_tb.graph.node_graph import NodeGraph
from bn_tb.tags import Role

# tf.nn.batch_normalization names its ops so: tensorflow/python/ops/nn_impl.py.
_PLAIN = re.compile(r"^(?:(.*)/)?(batchnorm(?:_\d+)?/)add$")
# Scopes that conditions of all releases add inside a layer.
_CONDITION = re.compile(r"(?:/(?:smart_)?cond(?:_\d+)?)+$")


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """One place where a graph normalises.

    Attributes:
      scope: Scope of the ops without conditions: the layer's, unless the layer is shared.
      variables: Moving statistics that it may use, by role: variable nodes.
      batch: Outputs with statistics of the batch that it may use, by role.
      training: True for batch statistics, False for moving ones, None for one or the other.
      epsilon: Added to the variance, or None.
      choosers: Outputs that decide between the two.
    """

    scope: str
    variables: dict[Role, int]
    batch: dict[Role, Output]
    training: bool | None
    epsilon: float | None
    choosers: frozenset[Output]


def find(graph: NodeGraph) -> Iterator[Normalisation]:
    """Yields every place where the graph normalises, in node order."""
    by_name: dict[str, int] | None = None
    for node, op in enumerate(graph.ops):
        if op in FUSED:
            yield _fused(graph, node)
        elif op in ("Add", "AddV2") and graph.names[node].endswith("/add"):
            match = _PLAIN.match(graph.names[node])
            if match:
                by_name = by_name or {name: n for n, name in enumerate(graph.names)}
                subtracted = by_name.get(f"{match[1] or ''}/{match[2]}mul_2".lstrip("/"))
                yield _plain(graph, node, subtracted, match[1] or "")


def layer_scope(name: str) -> str:
    """Returns a scope without the conditions that a layer puts around its ops."""
    return _CONDITION.sub("", "/" + name).lstrip("/")


def _fused(graph: NodeGraph, node: int) -> Normalisation:
    training, _ = fused_attributes(graph, node)
    inputs = graph.inputs(node)
    reader = Reader(graph, -1)
    variables = {}
    for role, port in ((Role.MOVING_MEAN, 3), (Role.MOVING_VARIANCE, 4)):
        if port < len(inputs):
            found = _leaves(reader, inputs[port])[0]
            if found is not None:
                variables[role] = found
    epsilon = graph.attr(node, b"epsilon")
    return Normalisation(
        scope=layer_scope(graph.names[node].rpartition("/")[0]),
        variables=variables,
        batch={Role.MOVING_MEAN: (node, 1), Role.MOVING_VARIANCE: (node, 2)} if training else {},
        training=training,
        epsilon=None if epsilon is None else round(epsilon.f, 9),
        choosers=frozenset(reader.choosers),
    )


def _plain(graph: NodeGraph, add: int, subtracted: int | None, scope: str) -> Normalisation:
    reader = Reader(graph, -1)
    variables, batch = {}, {}
    for role, node in ((Role.MOVING_MEAN, subtracted), (Role.MOVING_VARIANCE, add)):
        inputs = graph.inputs(node) if node is not None else []
        if inputs:
            variable, moment = _leaves(reader, inputs[0])
            if variable is not None:
                variables[role] = variable
            if moment is not None:
                batch[role] = moment
    epsilon = constant(graph, graph.inputs(add)[1][0]) if len(graph.inputs(add)) > 1 else math.nan
    return Normalisation(
        scope=layer_scope(scope),
        variables=variables,
        batch=batch,
        training=None if variables and batch else bool(batch),
        epsilon=None if math.isnan(epsilon) else round(epsilon, 9),
        choosers=frozenset(reader.choosers),
    )


def _leaves(reader: Reader, output: Output) -> tuple[int | None, Output | None]:
    """Returns a variable and a statistic of the batch that the output may be."""
    before = set(reader.leaves)
    reader.read(*output)
    leaves = sorted(reader.leaves - before)
    variables = [node for node, _ in leaves if is_variable(reader.graph, node)]
    others = [leaf for leaf in leaves if not is_variable(reader.graph, leaf[0])]
    return variables[0] if variables else None, others[0] if others else None
