"""The graphs of a run: decoded one by one, then what they say together."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from bn_tb.graph import graph_proto, keras_config
from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring
from bn_tb.graph.one_graph import Collections, evidence_of
from bn_tb.runs.run import GraphSource


def read(sources: Sequence[GraphSource]) -> GraphEvidence:
    """Returns what the graphs of one run prove about its batch-norm layers.

    Args:
      sources: Graphs in the order written. Those that do not decode become `problems`.
    """
    problems: list[str] = []
    graphs: dict[tuple[int, bytes, bytes], tuple[Any, Collections | None]] = {}
    for graph, collections in _graphs(sources, problems):
        # A FileWriter writes its graph twice, some programs every epoch; MetaGraphs tell more.
        key = _signature(graph)
        if collections is not None or graphs.get(key, (None, None))[1] is None:
            graphs[key] = graph, collections
    traces = list(_traces(sources, problems))
    evidence = _merged([evidence_of(*graph, traces) for graph in graphs.values()])
    for config in _keras_models(sources, problems):
        evidence = _with_keras(evidence, config)
    return dataclasses.replace(evidence, problems=tuple(problems))


def _graphs(
    sources: Sequence[GraphSource], problems: list[str]
) -> Iterator[tuple[Any, Collections | None]]:
    for source in sources:
        try:
            yield from _decoded(source)
        except ValueError as error:
            problems.append(_problem(source, error))


def _traces(sources: Sequence[GraphSource], problems: list[str]) -> Iterator[frozenset[str]]:
    """Yields the names of the nodes that ran in each traced session.run of TF1."""
    for source in sources:
        if source.kind == "tagged_run_metadata":
            try:
                metadata = graph_proto.parse("RunMetadata", source.data)
            except ValueError as error:
                problems.append(_problem(source, error))
                continue
            devices = metadata.step_stats.device
            yield frozenset(graph_proto.text(n.name) for device in devices for n in device.node)


def _problem(source: GraphSource, error: ValueError) -> str:
    tag = f" {source.tag!r}" if source.tag else ""
    return f"{source.kind}{tag} at step {source.step} is not readable: {error}"


def _decoded(source: GraphSource) -> Iterator[tuple[Any, Collections | None]]:
    if source.kind == "graph_def":
        yield graph_proto.parse("Graph", source.data), None
    elif source.kind == "meta_graph_def":
        meta = graph_proto.parse("MetaGraph", source.data)
        yield graph_proto.parse("Graph", meta.graph), _collections(meta)
    elif source.kind == "run_metadata":
        metadata = graph_proto.parse("RunMetadata", source.data)
        for function in metadata.function_graphs:
            yield graph_proto.parse("Graph", function.before), None


def _collections(meta: Any) -> Collections:
    return {
        graph_proto.text(entry.key): frozenset(
            graph_proto.text(name).partition(":")[0] for name in entry.value.nodes.value
        )
        for entry in meta.collection
    }


def _signature(graph: Any) -> tuple[int, bytes, bytes]:
    nodes = graph.node
    return (len(nodes), nodes[0].name, nodes[-1].name) if nodes else (0, b"", b"")


def _merged(found: list[GraphEvidence]) -> GraphEvidence:
    """Returns the evidence of all graphs; a layer's is that of the last graph that tells most."""
    trains = any(evidence.trains for evidence in found)
    telling = [evidence for evidence in found if evidence.trains == trains]
    layers: dict[str, LayerWiring] = {}
    for evidence in telling:
        for name, layer in evidence.layers.items():
            if any(layer.updates.values()) or not _updated(layers.get(name)):
                layers[name] = layer
    return GraphEvidence(
        trains=trains,
        optimizer_ops=tuple(sorted({name for e in found for name in e.optimizer_ops})),
        layers=layers,
        cross_model=tuple(sorted({pair for e in found for pair in e.cross_model})),
        train_ops=tuple(dict.fromkeys(name for e in found for name in e.train_ops)),
        has_collections=any(evidence.has_collections for evidence in found),
    )


def _updated(layer: LayerWiring | None) -> bool:
    return layer is not None and any(layer.updates.values())


def _keras_models(
    sources: Sequence[GraphSource], problems: list[str]
) -> Iterator[dict[str, LayerWiring]]:
    for source in sources:
        if source.kind == "keras_model":
            try:
                yield keras_config.read(source.data)
            except ValueError as error:
                problems.append(_problem(source, error))


def _with_keras(evidence: GraphEvidence, config: dict[str, LayerWiring]) -> GraphEvidence:
    """Returns the evidence with what the configuration says; graphs add the model's name before."""
    by_end: dict[str, list[str]] = {}
    for name in evidence.layers:
        for end in _ends(name):
            by_end.setdefault(end, []).append(name)
    layers = dict(evidence.layers)
    for name, layer in config.items():
        names = by_end.get(name, [])
        for found in names:
            layers[found] = _with_config(layers[found], layer)
        if not names:
            layers[name] = layer
    return dataclasses.replace(evidence, layers=layers)


def _with_config(layer: LayerWiring, config: LayerWiring) -> LayerWiring:
    known = layer.momentum is not None or layer.dynamic_momentum
    return dataclasses.replace(
        layer,
        keras=True,
        trainable=config.trainable,
        epsilon=config.epsilon if layer.epsilon is None else layer.epsilon,
        momentum=layer.momentum if known else config.momentum,
        momentum_source=layer.momentum_source if known else config.momentum_source,
    )


def _ends(name: str) -> Iterator[str]:
    """Yields `a/b/c`, `b/c` and `c` for `a/b/c`."""
    parts = name.split("/")
    for first in range(len(parts)):
        yield "/".join(parts[first:])
