"""Moving statistics of a graph, and the ops that update them."""

import collections
import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bn_tb.graph import normalisation
from bn_tb.graph.expression import (
    FUSED,
    VARIABLES,
    Linear,
    Output,
    Reader,
    is_variable,
    variable_of,
)
from bn_tb.graph.node_graph import NodeGraph
from bn_tb.graph.normalisation import Normalisation
from bn_tb.runs.tags import STATISTICS, Role, parse_tag

WRITES = {
    **dict.fromkeys(("Assign", "AssignVariableOp"), "set"),
    **dict.fromkeys(("AssignSub", "AssignSubVariableOp"), "subtract"),
    **dict.fromkeys(("AssignAdd", "AssignAddVariableOp"), "add"),
}
"""Ops that write a variable, and what they do with the value."""

_BATCH_STATISTICS = {*FUSED, "Mean"}
# Companions of a zero-debiased average: tensorflow/python/training/moving_averages.py.
_COMPANIONS = ("/biased", "/local_step")
_PARTITION = re.compile(r"/part_\d+$")
_REPLICA = re.compile(r"(?:^|(?<=/))replica_\d+/")
_UNIQUE = re.compile(r"_\d+$")


@dataclasses.dataclass(frozen=True)
class Write:
    """An op that averages the batch's statistic into a variable.

    Attributes:
      node: The op.
      momentum: Weight of the old value, or None if it is computed while training.
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
      renorm: The op that averages what batch renormalisation trains with, or None.
    """

    name: str
    variables: dict[Role, int]
    updates: dict[Role, list[Write]] = dataclasses.field(default_factory=dict)
    places: list[Normalisation] = dataclasses.field(default_factory=list)
    initial: dict[Role, float] = dataclasses.field(default_factory=dict)
    zero_debias: bool = False
    renorm: Write | None = None

    def writes(self) -> Iterator[Write]:
        """Yields the ops that update its statistics."""
        for writes in self.updates.values():
            yield from writes


def find(graph: NodeGraph) -> list[Layer]:
    """Returns the batch-norm layers of a graph in node order of their variables."""
    places = list(normalisation.find(graph))
    writes = _Writes(graph)
    layers = _by_name(graph)
    _add_by_use(writes, places, layers)
    for layer in layers.values():
        for role, variable in layer.variables.items():
            writes.describe(layer, role, variable)
    _add_renorm(writes, layers)
    _add_places(layers.values(), places)
    complete = [layer for layer in layers.values() if len(layer.variables) == 2 or layer.places]
    # A replica of tf.distribute updates its own copies of the variables; replica 0 has no prefix.
    found = [
        layer
        for layer in complete
        if _REPLICA.sub("", layer.name) not in layers or not _REPLICA.search(layer.name)
    ]
    _name_as_keras_3(graph, found)
    return found


def _name_as_keras_3(graph: NodeGraph, layers: Sequence[Layer]) -> None:
    """Takes the `_1` off every scope that Keras 3 opens twice in a function: `model_1/bn_1`."""
    names = set(graph.names)
    for layer in layers:
        parts = layer.name.split("/")
        twice = all(_UNIQUE.search(part) for part in parts)
        if not twice or f"{layer.name}/Cast/ReadVariableOp" not in names:
            return
    for layer in layers:
        layer.name = "/".join(_UNIQUE.sub("", part) for part in layer.name.split("/"))


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


def _add_renorm(writes: "_Writes", layers: Mapping[str, Layer]) -> None:
    """Adds what batch renormalisation averages beside the statistics.

    Its moving variance is the square of another average, `moving_stddev`: the updates of that are
    its own (tf_keras/src/layers/normalization/batch_normalization.py, `true_branch_renorm`).
    """
    for variable in writes.of:
        scope, _, last = writes.graph.names[variable].rpartition("/")
        layer = layers.get(scope)
        if layer is not None and last == "renorm_mean":
            found = (writes.read(variable, node) for node in writes.of[variable])
            layer.renorm = next((write for write in found if write is not None), None)
        if layer is not None and last == "moving_stddev" and Role.MOVING_VARIANCE in layer.updates:
            writes.describe(layer, Role.MOVING_VARIANCE, variable)


def _add_by_use(
    writes: "_Writes", places: Iterable[Normalisation], layers: dict[str, Layer]
) -> None:
    """Adds variables that no name gives away: arguments of functions and hand-written layers."""
    known = {node for layer in layers.values() for node in layer.variables.values()}
    by_scope: dict[str, dict[Role, int]] = collections.defaultdict(dict)
    for variable, (scope, role) in sorted(_used(writes, places, known).items()):
        by_scope[scope].setdefault(role, variable)
    for scope, variables in by_scope.items():
        name = _common_scope(writes.graph, variables) or scope
        layer = layers.setdefault(name, Layer(name, {}))
        for role, variable in variables.items():
            layer.variables.setdefault(role, variable)


def _used(
    writes: "_Writes", places: Iterable[Normalisation], known: set[int]
) -> dict[int, tuple[str, Role]]:
    """Returns scope and role of variables that the graph normalises with, or averages into."""
    used: dict[int, tuple[str, Role]] = {}
    sources: dict[Output, tuple[str, Role]] = {}
    for place in places:
        for role, variable in place.variables.items():
            used.setdefault(variable, (place.scope, role))
        for role, output in place.batch.items():
            sources.setdefault(output, (place.scope, role))
    for variable in writes.of.keys() - known - used.keys():
        source = writes.averaged(variable, sources)
        if source:
            used[variable] = source
    return {
        variable: source
        for variable, source in used.items()
        if variable not in known and not writes.graph.names[variable].endswith(_COMPANIONS)
    }


def _common_scope(graph: NodeGraph, variables: dict[Role, int]) -> str:
    """Returns the scope that two named variables share, or an empty string."""
    scopes = {graph.names[node].rpartition("/")[0] for node in variables.values()}
    named = all(graph.ops[node] in VARIABLES for node in variables.values())
    return scopes.pop() if named and len(scopes) == 1 and len(variables) == 2 else ""


def _add_places(layers: Iterable[Layer], places: Iterable[Normalisation]) -> None:
    """Adds to each layer where its variables, or statistics averaged into them, normalise."""
    by_variable: dict[int, list[str]] = collections.defaultdict(list)
    by_output: dict[Output, list[str]] = collections.defaultdict(list)
    by_scope: dict[str, list[Normalisation]] = collections.defaultdict(list)
    for place in places:
        by_scope[place.scope].append(place)
        for variable in place.variables.values():
            by_variable[variable].append(place.scope)
        for output in place.batch.values():
            by_output[output].append(place.scope)
    for layer in layers:
        scopes = [scope for v in layer.variables.values() for scope in by_variable[v]]
        for write in layer.writes():
            scopes += [scope for leaf in sorted(write.leaves) for scope in by_output.get(leaf, ())]
        layer.places = [place for scope in dict.fromkeys(scopes) for place in by_scope[scope]]


def writes_by_variable(graph: NodeGraph) -> dict[int, list[int]]:
    """Returns the ops that write each variable, in node order."""
    found: dict[int, list[int]] = collections.defaultdict(list)
    for node, op in enumerate(graph.ops):
        if op in WRITES:
            inputs = graph.inputs(node)
            variable = variable_of(graph, inputs[0][0]) if len(inputs) > 1 else -1
            if variable >= 0:
                found[variable].append(node)
    return found


def is_copy(graph: NodeGraph, variable: int, write: int) -> bool:
    """Returns whether an op takes other variables over, or averages them into its own."""
    reader = Reader(graph, variable)
    reader.read(*graph.inputs(write)[1])
    return _of_variables(graph, reader)


def _of_variables(graph: NodeGraph, reader: Reader) -> bool:
    """Returns whether all that was read, and something, are variables."""
    return bool(reader.leaves) and all(is_variable(graph, leaf) for leaf, _ in reader.leaves)


class _Writes:
    """The ops that write variables, each read once.

    Attributes:
      graph: The graph.
      of: Variable to the ops that write it.
    """

    def __init__(self, graph: NodeGraph) -> None:
        self.graph = graph
        self.of = writes_by_variable(graph)
        self._read: dict[int, Write | None] = {}

    def describe(self, layer: Layer, role: Role, variable: int) -> None:
        """Adds to a layer what is known of the ops that write one of its statistics."""
        updates = layer.updates.setdefault(role, [])
        for node in self.of.get(variable, ()):
            write = self.read(variable, node)
            if write is None:
                value = self._initial(node)
                if not math.isnan(value):
                    layer.initial.setdefault(role, value)
                continue
            biased = self._debiased(variable, write)
            if biased is not None:
                layer.zero_debias = True
                leaves = write.leaves | biased.leaves
                write = dataclasses.replace(write, momentum=biased.momentum, leaves=leaves)
            updates.append(write)

    def read(self, variable: int, node: int) -> Write | None:
        """Returns how an op averages into its variable, or None if it does something else."""
        if node not in self._read:
            self._read[node] = self._read_one(variable, node)
        return self._read[node]

    def _read_one(self, variable: int, node: int) -> Write | None:
        reader = Reader(self.graph, variable)
        alternatives = reader.read(*self.graph.inputs(node)[1])
        kind = WRITES[self.graph.ops[node]]
        of_batch = any(
            self.graph.ops[leaf] in _BATCH_STATISTICS
            or self.graph.names[leaf].endswith(_COMPANIONS)
            for leaf, _ in reader.leaves
        )
        averages = any(own not in (0.0, 1.0) for own, _ in alternatives)
        if kind == "set" and not of_batch and not averages:
            return None  # an initialiser, a restored checkpoint, a copy of another variable
        if not of_batch and _of_variables(self.graph, reader):
            return None  # an average of another variable: a target network
        # A condition's other branch leaves the variable as it is.
        moving = {_momentum(kind, linear) for linear in alternatives} - {1.0} or {1.0}
        momentum = moving.pop() if len(moving) == 1 else math.nan
        return Write(
            node,
            None if math.isnan(momentum) else momentum,
            frozenset(reader.leaves),
            frozenset(reader.choosers),
        )

    def averaged(
        self, variable: int, sources: Mapping[Output, tuple[str, Role]]
    ) -> tuple[str, Role] | None:
        """Returns the scope and role of the batch statistic averaged into a variable, if any."""
        for node in self.of[variable]:
            write = self.read(variable, node)
            if write is None or (write.momentum is not None and not 0 <= write.momentum < 1):
                continue
            found = [sources[leaf] for leaf in sorted(write.leaves) if leaf in sources]
            # A variance may be computed from the mean; a mean is never computed from the variance.
            found.sort(key=lambda source: source[1] is not Role.MOVING_VARIANCE)
            if found:
                return found[0]
        return None

    def _debiased(self, variable: int, write: Write) -> Write | None:
        """Returns the average that a zero-debiased variable is corrected from, or None."""
        for leaf, _ in sorted(write.leaves):
            if leaf == variable or not is_variable(self.graph, leaf):
                continue
            for node in self.of.get(leaf, ())[:4]:  # the initialiser, a restore, the average
                average = self.read(leaf, node)
                if average is not None and average.momentum not in (0.0, 1.0):
                    return average
        return None

    def _initial(self, node: int) -> float:
        reader = Reader(self.graph, -1)
        values = {rest for _, rest in reader.read(*self.graph.inputs(node)[1])}
        return values.pop() if len(values) == 1 and not reader.leaves else math.nan


def _momentum(kind: str, linear: Linear) -> float:
    own = linear[0]
    momentum = own if kind == "set" else 1 - own if kind == "subtract" else 1 + own
    return round(momentum, 6)  # float32 holds 1 - momentum to 6e-8
