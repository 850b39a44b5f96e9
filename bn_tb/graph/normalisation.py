"""Where a graph normalises, and with what: the batch's statistics or the moving ones."""

import dataclasses
import math
import re
from collections.abc import Iterator

from bn_tb.graph.expression import (
    FUSED,
    Output,
    Reader,
    constant,
    fused_attributes,
    is_variable,
    variable_of,
)
from bn_tb.graph.node_graph import NodeGraph
from bn_tb.runs.tags import Role

# tf.nn.batch_normalization names its ops so: tensorflow/python/ops/nn_impl.py.
_PLAIN = re.compile(r"(?:^|.*/)batchnorm(?:_\d+)?/add$")
_ADDS = ("Add", "AddV2")
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
      parameters: Gamma and beta: variable nodes.
    """

    scope: str
    variables: dict[Role, int]
    batch: dict[Role, Output]
    training: bool | None
    epsilon: float | None
    choosers: frozenset[Output]
    parameters: frozenset[int]


def find(graph: NodeGraph) -> Iterator[Normalisation]:
    """Yields every place where the graph normalises, in node order."""
    by_name: dict[str, int] = {}
    for node, op in enumerate(graph.ops):
        if op in FUSED:
            yield _fused(graph, node)
        elif op in _ADDS and graph.names[node].endswith("/add") and _PLAIN.match(graph.names[node]):
            by_name = by_name or {name: n for n, name in enumerate(graph.names)}
            yield _plain(graph, node, by_name)


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
        parameters=_variables(graph, inputs[1:3]),
    )


def _plain(graph: NodeGraph, add: int, by_name: dict[str, int]) -> Normalisation:
    """`y = x * mul + sub` with `mul = rsqrt(var + eps) * gamma`, `sub = beta - mean * mul`."""
    scope = graph.names[add].removesuffix("add")
    mean = _inputs(graph, by_name.get(scope + "mul_2"))[:1]
    variance = _inputs(graph, add)[:1]
    parameters = _inputs(graph, by_name.get(scope + "mul"))[1:2]
    parameters += _inputs(graph, by_name.get(scope + "sub"))[:1]
    reader = Reader(graph, -1)
    variables, batch = {}, {}
    for role, outputs in ((Role.MOVING_MEAN, mean), (Role.MOVING_VARIANCE, variance)):
        for output in outputs:
            variable, moment = _leaves(reader, output)
            if variable is not None:
                variables[role] = variable
            if moment is not None:
                batch[role] = moment
    constants = [constant(graph, node) for node, _ in _inputs(graph, add)[1:2]]
    epsilon = constants[0] if constants else math.nan
    return Normalisation(
        scope=layer_scope(scope.rstrip("/").rpartition("/")[0]),
        variables=variables,
        batch=batch,
        training=None if variables and batch else bool(batch),
        epsilon=None if math.isnan(epsilon) else round(epsilon, 9),
        choosers=frozenset(reader.choosers),
        parameters=_variables(graph, parameters),
    )


def _inputs(graph: NodeGraph, node: int | None) -> list[Output]:
    return [] if node is None else graph.inputs(node)


def _variables(graph: NodeGraph, outputs: list[Output]) -> frozenset[int]:
    return frozenset(variable_of(graph, node) for node, _ in outputs) - {-1}


def _leaves(reader: Reader, output: Output) -> tuple[int | None, Output | None]:
    """Returns a variable and a statistic of the batch that the output may be."""
    before = set(reader.leaves)
    reader.read(*output)
    leaves = sorted(reader.leaves - before)
    variables = [node for node, _ in leaves if is_variable(reader.graph, node)]
    others = [leaf for leaf in leaves if not is_variable(reader.graph, leaf[0])]
    return variables[0] if variables else None, others[0] if others else None
