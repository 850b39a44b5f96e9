"""One graph to evidence."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bn_tb.graph import layout, optimizer, saving, statistics, torch_graph, wiring
from bn_tb.graph.expression import PASS, VARIABLES, Output, constant
from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring, UpdateOp
from bn_tb.graph.node_graph import BRANCHES, NodeGraph
from bn_tb.graph.statistics import Layer, Write
from bn_tb.graph.wiring import Verdict

_TOWER = re.compile(r"(?:^|/)((?:tower|clone|replica|gpu|device)_?\d+)(?:/|$)", re.IGNORECASE)
# What layers and tf.group put around an update before it goes into UPDATE_OPS.
_AROUND = {"Identity", "Merge", "RefMerge", "ReadVariableOp", "NoOp", "_Retval", "_Exit"}
_CALLS = {"If", "StatelessIf", "StatefulPartitionedCall", "PartitionedCall"}
_MAX_SWITCH_DEPTH = 30  # from a condition to its placeholder: 2 to 5 nodes in tf.layers and Keras

Collections = Mapping[str, frozenset[str]]
"""Node names in each collection of a MetaGraph."""


class _OneGraph:
    """What is known of one graph while its layers are described."""

    def __init__(
        self, graph: NodeGraph, collections: Collections | None, traces: Sequence[frozenset[str]]
    ) -> None:
        self.graph = graph
        self.layers = statistics.find(graph)
        updates = {write.node for layer in self.layers for write in layer.writes()}
        self.writes = optimizer.optimizer_writes(graph, updates)
        self.trained = optimizer.trained_variables(graph, self.writes)
        self.assigned = statistics.writes_by_variable(graph)
        in_function = bool(self.trained) and not any(
            graph.ops[variable] in VARIABLES for variable in self.trained
        )
        registered = (collections or {}).get("train_op", frozenset())
        self.trains = optimizer.train_ops(graph, self.writes, registered, in_function)
        self.owners = wiring.owners_of(graph, self.layers, self.trains)
        self.verdicts, self.cross = wiring.verdicts(
            graph,
            self.layers,
            self.trains,
            self.owners,
            in_function,
            [node for node in optimizer.gradient_sums(graph, self.writes) if node not in updates],
        )
        written = {graph.names[node] for node in self.writes}
        self.traces = [trace for trace in traces if not written.isdisjoint(trace)]
        self.savers = saving.savers(graph)
        self.registered = (
            None
            if collections is None
            else _behind(graph, collections.get("update_ops", frozenset()))
        )

    def layer(self, layer: Layer) -> LayerWiring:
        ops = {
            role: tuple(self._update(write) for write in writes)
            for role, writes in layer.updates.items()
        }
        momenta = {op.momentum for of_role in ops.values() for op in of_role}
        epsilons = {place.epsilon for place in layer.places}
        switch, default = self._switch(layer)
        parameters = {node for place in layer.places for node in place.parameters}
        writes = list(layer.writes())
        return LayerWiring(
            layer=layer.name,
            variables={role: self.graph.names[node] for role, node in layer.variables.items()},
            updates=ops,
            training=_training(layer),
            momentum=momenta.pop() if len(momenta) == 1 else None,
            epsilon=epsilons.pop() if len(epsilons) == 1 else None,
            in_update_ops=None
            if self.registered is None or not writes
            # With renorm an op behind that of the variance is in the collection.
            else (any if layer.renorm else all)(self.registered[write.node] for write in writes),
            keras=switch.endswith("keras_learning_phase"),
            saved=saving.statistics_saved(self.savers, parameters, set(layer.variables.values())),
            dynamic_momentum=any(write.momentum is None for write in writes),
            zero_debias=layer.zero_debias,
            renorm=layer.renorm is not None,
            renorm_momentum=layer.renorm.momentum if layer.renorm else None,
            initial=layer.initial,
            switch=switch,
            switch_default=default,
            trained=bool(parameters & self.trained) if parameters else None,
            copied=any(map(self._copied, parameters)),
            models=self.owners[layer.name],
        )

    def _update(self, write: Write) -> UpdateOp:
        name = self.graph.names[write.node]
        tower = _TOWER.search(name)
        verdict: Verdict = self.verdicts[write.node]
        return UpdateOp(
            name=name,
            op=self.graph.ops[write.node],
            momentum=write.momentum,
            wiring=verdict.wiring,
            needed_by=verdict.needed_by,
            dynamic=write.momentum is None,
            train_ops=verdict.train_ops,
            tower=tower[1] if tower else "",
            ran=self._ran(write),
            path=verdict.path,
        )

    def _copied(self, variable: int) -> bool:
        """Returns whether a variable is made of others alone, and not by an optimizer."""
        return variable not in self.trained and any(
            statistics.is_copy(self.graph, variable, write)
            for write in self.assigned.get(variable, ())
        )

    def _ran(self, write: Write) -> bool | None:
        """Traces name nodes inside of functions otherwise, so they are no proof of absence."""
        ran = any(self.graph.names[write.node] in trace for trace in self.traces)
        return ran if ran or (self.traces and write.node < self.graph.outer) else None

    def _switch(self, layer: Layer) -> tuple[str, bool | None]:
        """Returns the placeholder that decides how the layer normalises, and its default."""
        for chooser in sorted(self._choosers(layer)):
            placeholder = _placeholder(self.graph, chooser)
            if placeholder is not None:
                inputs = self.graph.inputs(placeholder)
                values = [constant(self.graph, source) for source, _ in inputs]
                known = [bool(value) for value in values if not math.isnan(value)]
                return self.graph.names[placeholder], known[0] if known else None
        return "", None

    def _choosers(self, layer: Layer) -> set[Output]:
        choosers = {chooser for place in layer.places for chooser in place.choosers}
        choosers.update(chooser for write in layer.writes() for chooser in write.choosers)
        inside = {node for place in layer.places for node, _ in place.batch.values()}
        for node in inside | {write.node for write in layer.writes()}:
            for caller in self.graph.callers(node):
                if self.graph.ops[caller] in BRANCHES:
                    choosers.update(self.graph.inputs(caller)[:1])
        return choosers


def evidence_of(
    message: Any, collections: Collections | None = None, traces: Sequence[frozenset[str]] = ()
) -> GraphEvidence:
    """Returns what one graph proves.

    Args:
      message: A decoded `Graph`.
      collections: Those of the MetaGraph around it, or None.
      traces: Names of the nodes that ran, one set for each traced session.run.
    """
    graph = layout.build(message)
    found = _OneGraph(graph, collections, traces)
    return GraphEvidence(
        trains=bool(found.writes),
        optimizer_ops=tuple(sorted(graph.names[node] for node in found.writes)),
        layers={layer.name: found.layer(layer) for layer in found.layers}
        | dict(torch_graph.layers(graph)),
        cross_model=tuple(found.cross),
        train_ops=tuple(train.name for train in found.trains),
        has_collections=collections is not None,
    )


def _training(layer: Layer) -> bool | None:
    """Returns how a layer normalises; both ways in one scope or condition are a run-time matter."""
    modes: dict[str, set[bool | None]] = {}
    conditional = any(place.choosers for place in layer.places)
    for place in layer.places:
        modes.setdefault("" if conditional else place.scope, set()).add(place.training)
    if not modes or any(len(found) > 1 or None in found for found in modes.values()):
        return None
    return any(True in found for found in modes.values())


def _placeholder(graph: NodeGraph, chooser: Output) -> int | None:
    node = chooser[0]
    for _ in range(_MAX_SWITCH_DEPTH):
        if graph.ops[node] in ("Placeholder", "PlaceholderWithDefault"):
            return node
        inputs = graph.inputs(node)
        passes = graph.ops[node] in PASS or graph.ops[node] in ("_Arg", "LogicalNot", "Equal")
        if not inputs or not passes:
            return None
        node = inputs[0][0]
    return None


def _behind(graph: NodeGraph, names: Iterable[str]) -> bytearray:
    """Returns a mask of the named nodes and of what they only stand for, such as a group."""
    wanted = set(names)
    stack = [node for node, name in enumerate(graph.names) if name in wanted]
    seen = bytearray(len(graph.ops))
    for node in stack:
        seen[node] = 1
    while stack:
        node = stack.pop()
        if graph.ops[node] in _AROUND or graph.ops[node] in _CALLS:
            for source, port in graph.edges(node):
                if not seen[source] and (port < 0 or graph.ops[node] in _AROUND):
                    seen[source] = 1
                    stack.append(source)
    return seen
