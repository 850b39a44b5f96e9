"""The graphs of a run: decoded one by one, then what they say together."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from bn_tb.graph import graph_proto, keras_config
from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring
from bn_tb.graph.one_graph import Collections, evidence_of
from bn_tb.graph.size import measure
from bn_tb.runs.run import GraphSource

REMEMBERED = 32
"""Runs whose graphs are remembered: train and eval of an experiment, and a few more."""
MOST_GRAPHS = 256
"""Graphs, and traces, of a run that are looked at; programs write one to ten."""
MOST_PARTS_OF_ALL = 1 << 22
"""Nodes, inputs and attributes of all graphs of a run; about a microsecond each."""


@dataclasses.dataclass(frozen=True)
class _Found:
    """A graph that is still to be decoded.

    Attributes:
      source: Where it comes from.
      data: The serialized GraphDef.
      collections: Those of the MetaGraph around it, or None.
    """

    source: GraphSource
    data: bytes
    collections: Collections | None = None


def read(sources: Sequence[GraphSource]) -> GraphEvidence:
    """Returns what the graphs of one run prove about its batch-norm layers.

    Graphs are decoded one after the other, and none twice; the runs of a sweep mostly have the
    same, so what was read last is remembered.

    Args:
      sources: Graphs in the order written. Those that do not decode become `problems`.
    """
    key = _digest(sources)
    if (known := _remembered.get(key)) is None:
        known = _read(sources)
        if len(_remembered) == REMEMBERED:
            _remembered.clear()
        _remembered[key] = known
    return known


_remembered: dict[bytes, GraphEvidence] = {}


def _digest(sources: Sequence[GraphSource]) -> bytes:
    """Returns what is the same for the same graphs."""
    digest = hashlib.blake2b(digest_size=16)
    for source in sources:
        about = repr((source.kind, source.tag, source.step, len(source.data)))
        digest.update(about.encode("utf-8", "surrogatepass") + source.data)
    return digest.digest()


def _read(sources: Sequence[GraphSource]) -> GraphEvidence:
    problems: list[str] = []
    graphs = _distinct(sources, problems)
    traces = list(_traces(sources, problems))
    evidence = _merged(list(_evidence(graphs, traces, problems)))
    for config in _keras_models(sources, problems):
        evidence = _with_keras(evidence, config)
    return dataclasses.replace(evidence, problems=tuple(problems))


def _distinct(sources: Sequence[GraphSource], problems: list[str]) -> list[_Found]:
    """Returns one of the graphs that are alike; MetaGraphs tell more.

    A FileWriter writes its graph twice, some programs every epoch.
    """
    graphs: dict[tuple[int, bytes, bytes], _Found] = {}
    parts = left_out = 0
    for found in _graphs(sources, problems):
        try:
            size = measure("Graph", found.data)
            key = size.nodes, _name(size.first), _name(size.last)
        except ValueError as error:
            problems.append(_problem(found.source, error))
            continue
        if key not in graphs:
            if len(graphs) == MOST_GRAPHS or parts + size.parts > MOST_PARTS_OF_ALL:
                left_out += 1
                continue
            parts += size.parts
        if found.collections is not None or key not in graphs or _is_plain(graphs[key]):
            graphs[key] = found
    if left_out:
        problems.append(f"{left_out:,} more graphs were not read: too many in one run")
    return list(graphs.values())


def _is_plain(found: _Found) -> bool:
    return found.collections is None


def _name(node: bytes) -> bytes:
    name: bytes = graph_proto.parse("Node", node).name
    return name


def _graphs(sources: Sequence[GraphSource], problems: list[str]) -> Iterator[_Found]:
    for source in sources:
        try:
            yield from _taken_out(source)
        except ValueError as error:
            problems.append(_problem(source, error))


def _evidence(
    graphs: Sequence[_Found], traces: Sequence[frozenset[str]], problems: list[str]
) -> Iterator[GraphEvidence]:
    for found in graphs:
        try:
            graph = graph_proto.parse("Graph", found.data)
        except ValueError as error:
            problems.append(_problem(found.source, error))
        else:
            yield evidence_of(graph, found.collections, traces)


def _traces(sources: Sequence[GraphSource], problems: list[str]) -> Iterator[frozenset[str]]:
    """Yields the names of the nodes that ran in each traced session.run of TF1."""
    written = [source for source in sources if source.kind == "tagged_run_metadata"]
    for source in written[:MOST_GRAPHS]:
        try:
            metadata = _parsed("RunMetadata", source.data)
        except ValueError as error:
            problems.append(_problem(source, error))
            continue
        devices = metadata.step_stats.device
        yield frozenset(graph_proto.text(n.name) for device in devices for n in device.node)
    if len(written) > MOST_GRAPHS:
        problems.append(f"{len(written) - MOST_GRAPHS:,} more traces were not read")


def _parsed(kind: str, data: bytes) -> Any:
    measure(kind, data)
    return graph_proto.parse(kind, data)


def _problem(source: GraphSource, error: ValueError) -> str:
    tag = f" {source.tag!r}" if source.tag else ""
    return f"{source.kind}{tag} at step {source.step} is not readable: {error}"


def _taken_out(source: GraphSource) -> Iterator[_Found]:
    """Yields the graphs of a source, still serialized."""
    if source.kind == "graph_def":
        yield _Found(source, source.data)
    elif source.kind == "meta_graph_def":
        meta = _parsed("MetaGraph", source.data)
        yield _Found(source, meta.graph, _collections(meta))
    elif source.kind == "run_metadata":
        for function in _parsed("RunMetadata", source.data).function_graphs:
            yield _Found(source, function.before)


def _collections(meta: Any) -> Collections:
    return {
        graph_proto.text(entry.key): frozenset(
            graph_proto.text(name).partition(":")[0] for name in entry.value.nodes.value
        )
        for entry in meta.collection
    }


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
        renorm=layer.renorm or config.renorm,
        renorm_momentum=config.renorm_momentum
        if layer.renorm_momentum is None
        else layer.renorm_momentum,
        epsilon=config.epsilon if layer.epsilon is None else layer.epsilon,
        momentum=layer.momentum if known else config.momentum,
        momentum_source=layer.momentum_source if known else config.momentum_source,
    )


def _ends(name: str) -> Iterator[str]:
    """Yields `a/b/c`, `b/c` and `c` for `a/b/c`."""
    parts = name.split("/")
    for first in range(len(parts)):
        yield "/".join(parts[first:])
