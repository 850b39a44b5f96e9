"""Moving statistics of a graph, and the ops that update them."""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping

from bn_tb.graph import normalisation
from bn_tb.graph.expression import (
    VARIABLES,
    Linear,
    Output,
    Reader,
    is_variable,
    variable_of,
)
from bn_tb.graph.node_graph import NodeGraph
from bn_tb.graph.normalisation import Normalisation
from bn_tb.tags import STATISTICS, Role, parse_tag

WRITES = {
    **dict.fromkeys(("Assign", "AssignVariableOp"), "set"),
    **dict.fromkeys(("AssignSub", "AssignSubVariableOp"), "subtract"),
    **dict.fromkeys(("AssignAdd", "AssignAddVariableOp"), "add"),
}
"""Ops that write a variable, and what they do with the value."""

# What a variable is set to by initialisers, checkpoints, K.set_value and copies of other variables.
_NOT_COMPUTED = ("Restore", "Placeholder", "_Arg", "Random", "Truncated", "Stateless", "PyFunc")
_PARTITION = re.compile(r"/part_\d+$")
_UNIQUE = re.compile(r"_\d+$")


@dataclasses.dataclass(frozen=True)
class Write:
    """An op that averages the batch's statistic into a variable.

    Attributes:
      node: The op.
      momentum: Weight of the old value, or None if it is dynamic.
      leaves: What the average takes in besides the variable.
      choosers: Outputs that decide whether or how it averages.
    """

    node: int
    momentum: float | None
    leaves: frozenset[Output]
    choosers: frozenset[Output]


@dataclasses.dataclass
class Layer:
    """A batch-norm layer: moving statistics that belong together.

    Attributes:
      name: See `LayerWiring.layer`.
      variables: Variable node of each role.
      updates: Role to the ops that update it, in node order.
      places: Where the graph normalises with this layer.
      initial: Role to its constant initial value.
      zero_debias: Whether the average is corrected for its initial value.
    """

    name: str
    variables: dict[Role, int]
    updates: dict[Role, list[Write]] = dataclasses.field(default_factory=dict)
    places: list[Normalisation] = dataclasses.field(default_factory=list)
    initial: dict[Role, float] = dataclasses.field(default_factory=dict)
    zero_debias: bool = False

    def writes(self) -> Iterator[Write]:
        """Yields the ops that update its statistics."""
        for writes in self.updates.values():
            yield from writes


def find(graph: NodeGraph) -> list[Layer]:
    """Returns the batch-norm layers of a graph in node order of their variables."""
    places = list(normalisation.find(graph))
    written = _written(graph)
    layers = _by_name(graph)
    _add_by_use(graph, places, written, layers)
    for layer in layers.values():
        for role, variable in layer.variables.items():
            _read_writes(graph, layer, role, written.get(variable, []), written)
        layer.places = _places_of(layer, places)
    return [layer for layer in layers.values() if len(layer.variables) == 2 or layer.places]


def _written(graph: NodeGraph) -> dict[int, list[int]]:
    """Returns variable to the ops that write it."""
    written: dict[int, list[int]] = collections.defaultdict(list)
    for node, op in enumerate(graph.ops):
        if op in WRITES:
            inputs = graph.inputs(node)
            variable = variable_of(graph, inputs[0][0]) if len(inputs) > 1 else -1
            if variable >= 0:
                written[variable].append(node)
    return written


def _by_name(graph: NodeGraph) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    for node, op in enumerate(graph.ops):
        if op not in VARIABLES:
            continue
        name = _PARTITION.sub("", graph.names[node])
        parsed = parse_tag(name)
        if parsed is None or parsed.role not in STATISTICS:
            continue
        layer = layers.setdefault(parsed.layer, Layer(parsed.layer, {}))
        if parsed.role in layer.variables:  # a second layer of the same scope: moving_mean_1
            second = parsed.layer + "".join(_UNIQUE.findall(name))
            layer = layers.setdefault(second, Layer(second, {}))
        layer.variables.setdefault(parsed.role, node)
    return layers


def _add_by_use(
    graph: NodeGraph,
    places: list[Normalisation],
    written: dict[int, list[int]],
    layers: dict[str, Layer],
) -> None:
    """Adds variables that no name gives away: arguments of functions and hand-written layers."""
    known = {node for layer in layers.values() for node in layer.variables.values()}
    used = {
        variable: (place.scope, role)
        for place in reversed(places)
        for role, variable in place.variables.items()
        if variable not in known
    }
    sources = {out: (place.scope, role) for place in places for role, out in place.batch.items()}
    for variable in sorted(written.keys() - known - used.keys()):
        averaged = (_averaged(graph, variable, node, sources) for node in written[variable])
        found = next((source for source in averaged if source), None)
        if found:
            used[variable] = found
    by_scope: dict[str, dict[Role, int]] = collections.defaultdict(dict)
    for variable, (scope, role) in sorted(used.items()):
        by_scope[scope].setdefault(role, variable)
    for scope, variables in by_scope.items():
        name = _common_scope(graph, variables) or scope
        layer = layers.setdefault(name, Layer(name, {}))
        for role, variable in variables.items():
            layer.variables.setdefault(role, variable)


def _common_scope(graph: NodeGraph, variables: dict[Role, int]) -> str:
    """Returns the scope that two named variables share, or an empty string."""
    scopes = {graph.names[node].rpartition("/")[0] for node in variables.values()}
    named = all(graph.ops[node] in VARIABLES for node in variables.values())
    return scopes.pop() if named and len(scopes) == 1 and len(variables) == 2 else ""


def _averaged(
    graph: NodeGraph, variable: int, node: int, sources: Mapping[Output, tuple[str, Role]]
) -> tuple[str, Role] | None:
    """Returns the batch statistic that an op averages into a variable: its scope and role."""
    write = _read_write(graph, variable, node)
    if write is None or (write.momentum is not None and not 0 <= write.momentum < 1):
        return None
    found = [sources[leaf] for leaf in sorted(write.leaves) if leaf in sources]
    # A variance may be computed from the mean; a mean is never computed from the variance.
    return next((source for source in found if source[1] is Role.MOVING_VARIANCE), None) or next(
        iter(found), None
    )


def _read_writes(
    graph: NodeGraph, layer: Layer, role: Role, writes: list[int], written: dict[int, list[int]]
) -> None:
    """Adds what is known of the ops that write one statistic to its layer."""
    variable = layer.variables[role]
    updates = layer.updates.setdefault(role, [])
    for node in writes:
        write = _read_write(graph, variable, node)
        if write is None:
            value = _initial(graph, node)
            if not math.isnan(value):
                layer.initial.setdefault(role, value)
            continue
        biased = _debiased(graph, variable, write, written)
        if biased is not None:
            layer.zero_debias = True
            write = dataclasses.replace(
                write, momentum=biased.momentum, leaves=write.leaves | biased.leaves
            )
        updates.append(write)


def _read_write(graph: NodeGraph, variable: int, node: int) -> Write | None:
    """Returns how an op averages into its variable, or None if it does something else."""
    reader = Reader(graph, variable)
    alternatives = reader.read(*graph.inputs(node)[1])
    kind = WRITES[graph.ops[node]]
    momenta = [_momentum(kind, linear) for linear in alternatives]
    computed = any(
        not graph.ops[leaf].startswith(_NOT_COMPUTED) and graph.ops[leaf] not in VARIABLES
        for leaf, _ in reader.leaves
    )
    averages = any(own != 0.0 for own, _ in alternatives)
    if kind == "set" and not computed and not averages:
        return None
    # A condition's other branch leaves the variable as it is.
    moving = {value for value in momenta if value != 1.0} or {1.0}
    momentum = moving.pop() if len(moving) == 1 else math.nan
    return Write(
        node,
        None if math.isnan(momentum) else momentum,
        frozenset(reader.leaves),
        frozenset(reader.choosers),
    )


def _momentum(kind: str, linear: Linear) -> float:
    own = linear[0]
    momentum = own if kind == "set" else 1 - own if kind == "subtract" else 1 + own
    return round(momentum, 6)  # float32 holds 1 - momentum to 6e-8


def _debiased(
    graph: NodeGraph, variable: int, write: Write, written: dict[int, list[int]]
) -> Write | None:
    """Returns the average that a zero-debiased variable is corrected from, or None."""
    for leaf, _ in sorted(write.leaves):
        source = leaf if is_variable(graph, leaf) else -1
        if source < 0 or source == variable:
            continue
        for node in written.get(source, []):
            average = _read_write(graph, source, node)
            if average is not None and average.momentum not in (0.0, 1.0):
                return average
    return None


def _initial(graph: NodeGraph, node: int) -> float:
    reader = Reader(graph, -1)
    values = {rest for _, rest in reader.read(*graph.inputs(node)[1])}
    return values.pop() if len(values) == 1 and not reader.leaves else math.nan


def _places_of(layer: Layer, places: list[Normalisation]) -> list[Normalisation]:
    """Returns where a layer's variables, or statistics averaged into them, normalise."""
    variables = set(layer.variables.values())
    sources = {
        leaf for writes in layer.updates.values() for write in writes for leaf in write.leaves
    }
    return [
        place
        for place in places
        if variables & set(place.variables.values()) or sources & set(place.batch.values())
    ]
