"""Graphs of a run to evidence: every graph on its own, then what they say together."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bn_tb.graph import graph_proto, node_graph, statistics, training, wiring
from bn_tb.graph.evidence import GraphEvidence, LayerWiring, UpdateOp
from bn_tb.graph.expression import VARIABLES
from bn_tb.graph.node_graph import NodeGraph
from bn_tb.graph.statistics import Layer
from bn_tb.graph.wiring import Verdict
from bn_tb.run import GraphSource

_TOWER = re.compile(r"(?:^|/)((?:tower|clone|replica|gpu|device)_?\d+)(?:/|$)", re.IGNORECASE)

Collections = Mapping[str, frozenset[str]]


def read(sources: Sequence[GraphSource]) -> GraphEvidence:
    """Returns what the graphs of one run prove about its batch-norm layers.

    Args:
      sources: Graphs in the order written. Those that do not decode become `problems`.
    """
    problems: list[str] = []
    evidences = [_judge(graph, collections) for graph, collections in _decode(sources, problems)]
    return _merge(evidences, problems)


def _decode(
    sources: Sequence[GraphSource], problems: list[str]
) -> Iterator[tuple[Any, Collections | None]]:
    for source in sources:
        try:
            if source.kind == "graph_def":
                yield graph_proto.parse("Graph", source.data), None
            elif source.kind == "meta_graph_def":
                meta = graph_proto.parse("MetaGraph", source.data)
                yield graph_proto.parse("Graph", meta.graph), _collections(meta)
        except ValueError as error:
            problems.append(f"{source.kind} at step {source.step}: {error}")


def _collections(meta: Any) -> Collections:
    return {
        graph_proto.text(entry.key): frozenset(
            graph_proto.text(name).partition(":")[0] for name in entry.value.nodes.value
        )
        for entry in meta.collection
    }


def _judge(message: Any, collections: Collections | None) -> GraphEvidence:
    graph = node_graph.build(message)
    layers = statistics.find(graph)
    updates = {write.node for layer in layers for write in layer.writes()}
    writes = training.optimizer_writes(graph, updates)
    registered = (collections or {}).get("train_op", frozenset())
    trains = training.train_ops(graph, writes, registered)
    variables = training.trained_variables(graph, writes)
    in_function = bool(variables) and not any(graph.ops[v] in VARIABLES for v in variables)
    verdicts, cross = wiring.judge(graph, layers, trains, in_function)
    return GraphEvidence(
        trains=bool(writes),
        optimizer_ops=tuple(sorted(graph.names[node] for node in writes)),
        layers={
            layer.name: _layer(graph, layer, verdicts, collections, variables) for layer in layers
        },
        cross_model=tuple(cross),
        train_ops=tuple(train.name for train in trains),
        has_collections=collections is not None,
    )


def _layer(
    graph: NodeGraph,
    layer: Layer,
    verdicts: Mapping[int, Verdict],
    collections: Collections | None,
    trained: set[int],
) -> LayerWiring:
    updates = {
        role: tuple(_update(graph, write, verdicts[write.node]) for write in writes)
        for role, writes in layer.updates.items()
    }
    ops = [op for of_role in updates.values() for op in of_role]
    momenta = {op.momentum for op in ops}
    momentum = momenta.pop() if len(momenta) == 1 else None
    epsilons = {place.epsilon for place in layer.places}
    return LayerWiring(
        layer=layer.name,
        variables={role: graph.names[node] for role, node in layer.variables.items()},
        updates=updates,
        training=_training(layer),
        momentum=momentum,
        epsilon=epsilons.pop() if len(epsilons) == 1 else None,
        in_update_ops=_registered(graph, layer, collections),
        dynamic_momentum=any(op.dynamic for op in ops),
        zero_debias=layer.zero_debias,
        initial=layer.initial,
    )


def _update(graph: NodeGraph, write: statistics.Write, verdict: Verdict) -> UpdateOp:
    name = graph.names[write.node]
    tower = _TOWER.search(name)
    return UpdateOp(
        name=name,
        op=graph.ops[write.node],
        momentum=write.momentum,
        wiring=verdict.wiring,
        needed_by=verdict.path[-1].node if len(verdict.path) > 1 else "",
        dynamic=write.momentum is None,
        train_ops=verdict.train_ops,
        tower=tower[1] if tower else "",
        path=verdict.path,
    )


def _training(layer: Layer) -> bool | None:
    modes: dict[str, set[bool | None]] = {}
    for place in layer.places:
        modes.setdefault(place.scope, set()).add(place.training)
    if not modes or any(len(found) > 1 or None in found for found in modes.values()):
        return None
    return any(True in found for found in modes.values())


def _registered(graph: NodeGraph, layer: Layer, collections: Collections | None) -> bool | None:
    """Returns whether every update is in UPDATE_OPS, itself or as the condition around it."""
    updates = [write.node for write in layer.writes()]
    if collections is None or not updates:
        return None
    names = collections.get("update_ops", frozenset())
    return all(any(graph.names[n] in names for n in _near(graph, node)) for node in updates)


def _near(graph: NodeGraph, node: int) -> set[int]:
    """Returns an update and what the layer wraps around it: reads, branches, conditions."""
    near = {node}
    for _ in range(6):
        near |= {user for n in near for user in graph.users(n) if graph.ops[user] in _WRAPPERS}
    return near


_WRAPPERS = {
    *("Identity", "Merge", "RefMerge", "ReadVariableOp", "NoOp", "_Retval", "_Exit"),
    *("If", "StatelessIf", "StatefulPartitionedCall", "PartitionedCall"),
}


def _merge(evidences: list[GraphEvidence], problems: list[str]) -> GraphEvidence:
    """Returns the evidence of all graphs; of a layer in several, that of the most telling graph."""
    trains = any(evidence.trains for evidence in evidences)
    telling = [evidence for evidence in evidences if evidence.trains == trains]
    telling.sort(key=lambda evidence: evidence.has_collections)
    layers: dict[str, LayerWiring] = {}
    for evidence in telling:
        layers.update(evidence.layers)
    return GraphEvidence(
        trains=trains,
        optimizer_ops=tuple(sorted({name for e in evidences for name in e.optimizer_ops})),
        layers=layers,
        cross_model=tuple(sorted({pair for e in telling for pair in e.cross_model})),
        problems=tuple(problems),
        train_ops=tuple(dict.fromkeys(name for e in evidences for name in e.train_ops)),
        has_collections=any(evidence.has_collections for evidence in evidences),
    )
