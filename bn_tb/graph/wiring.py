"""Whether training needs the update ops: reachability by data and control edges.

A node that needs both an update and an optimizer's write proves that training runs the update.
Testing the train op alone would call `tf.group(train_op, *update_ops)` unwired.
"""

import collections
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bn_tb.graph.expression import variable_of
from bn_tb.graph.graph_evidence import Hop, Wiring
from bn_tb.graph.node_graph import Edge, NodeGraph
from bn_tb.graph.optimizer import TrainOp
from bn_tb.graph.statistics import Layer

_CONDITION = re.compile(r"(?:^|/)(?:smart_)?cond(?:_\d+)?$")
_MAX_HOPS = 12  # of a drawn path
_EDGES = {int(Edge.CONTROL): "control", int(Edge.CALL): "call"}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What needs one update op.

    Attributes:
      wiring: See `Wiring`.
      path: From the op to the node that proves it.
      train_ops: Names of the train ops that need it.
      needed_by: The node that proves it; empty where nothing needs it.
    """

    wiring: Wiring
    path: tuple[Hop, ...]
    train_ops: tuple[str, ...] = ()
    needed_by: str = ""


def verdicts(
    graph: NodeGraph,
    layers: Sequence[Layer],
    trains: Sequence[TrainOp],
    owners: Mapping[str, frozenset[str]],
    in_function: bool,
    sums: Sequence[int] = (),
) -> tuple[dict[int, Verdict], list[tuple[str, str]]]:
    """Returns the verdict on each update op, and pairs of train op and layer of another model.

    Args:
      graph: The graph.
      layers: Its batch-norm layers.
      trains: Its train ops.
      owners: What `owners_of` returns.
      in_function: Whether the graph is the body of a tf.function, which runs every op that has an
        effect (automatic control dependencies).
      sums: Ops that add up gradients for the train ops.
    """
    searches = [_Search(graph, [train.node]) for train in trains]
    updates = [write.node for layer in layers for write in layer.writes()]
    wider = [
        search if all(n in search for n in updates) else _Search(graph, train.nodes)
        for train, search in zip(trains, searches, strict=True)
    ]
    verdicts: dict[int, Verdict] = {}
    cross: set[tuple[str, str]] = set()
    for layer in layers:
        models = owners[layer.name]
        for write in layer.writes():
            by = [n for n, search in enumerate(wider) if write.node in search]
            own = [n for n in by if not models or trains[n].name in models]
            others = [n for n in by if n not in own]
            cross.update((trains[n].name, layer.name) for n in others)
            if by:
                best = (own or others)[0]
                search = searches[best] if write.node in searches[best] else wider[best]
                verdicts[write.node] = Verdict(
                    Wiring.TRAIN if own else Wiring.OTHER_MODEL,
                    search.path(write.node),
                    tuple(trains[n].name for n in by),
                    search.target(write.node),
                )
    verdicts.update(_by_sums(graph, set(updates) - set(verdicts), trains, sums))
    rest = [node for node in updates if node not in verdicts]
    if trains and in_function:
        by_name = tuple(train.name for train in trains)
        verdicts.update(
            {n: Verdict(Wiring.TRAIN, (_hop(graph, n),), by_name, by_name[0]) for n in rest}
        )
    elif rest:
        within = _scopes_of(layers) | set(_conditions(graph, rest))
        verdicts.update(_unneeded(graph, rest, within))
    return verdicts, sorted(cross)


def _by_sums(
    graph: NodeGraph, updates: Iterable[int], trains: Sequence[TrainOp], sums: Sequence[int]
) -> dict[int, Verdict]:
    """Returns the verdicts on updates that run with each batch whose gradients are added up."""
    search, names = _Search(graph, sums), tuple(train.name for train in trains)
    return {
        node: Verdict(Wiring.TRAIN, search.path(node), names, search.target(node))
        for node in updates
        if node in search
    }


class _Search:
    """The shortest way from every node to the nearest of some targets that need it."""

    def __init__(self, graph: NodeGraph, targets: Iterable[int]) -> None:
        self._graph = graph
        self._after = [-1] * len(graph.ops)
        self._edges = [-1] * len(graph.ops)  # the edge from a node to the one after it
        queue = collections.deque(targets)
        for target in queue:
            self._after[target] = target
        starts, sources, after = graph.starts, graph.sources, self._after
        while queue:
            node = queue.popleft()
            for edge in range(starts[node], starts[node + 1]):
                source = sources[edge]
                if after[source] < 0:
                    after[source] = node
                    self._edges[source] = edge
                    queue.append(source)

    def __contains__(self, node: int) -> bool:
        return self._after[node] >= 0

    def target(self, node: int) -> str:
        """Returns the name of the target that `node` leads to."""
        while self._after[node] != node:
            node = self._after[node]
        return self._graph.names[node]

    def path(self, node: int) -> tuple[Hop, ...]:
        """Returns the way from `node` to its target; of a long one the first half and the end."""
        hops = [_hop(self._graph, node)]
        while self._after[node] != node:
            after = self._after[node]
            hops.append(_hop(self._graph, after, self._graph.ports[self._edges[node]]))
            node = after
        if len(hops) > _MAX_HOPS:
            hops[_MAX_HOPS // 2 : -_MAX_HOPS // 2] = [Hop("...", "")]
        return tuple(hops)


def _hop(graph: NodeGraph, node: int, port: int | None = None) -> Hop:
    edge = "" if port is None else _EDGES.get(port, "data")
    return Hop(graph.names[node], graph.ops[node], edge)


def owners_of(
    graph: NodeGraph, layers: Sequence[Layer], trains: Sequence[TrainOp]
) -> dict[str, frozenset[str]]:
    """Returns the names of the train ops that train each layer's model; empty where none is known.

    A train op is of a layer's model if what it writes is computed from the layer's statistics of
    the batch. To wait for an update, or for the condition around one, is another thing.
    """
    if len(trains) < 2:
        names = frozenset(train.name for train in trains)
        return {layer.name: names for layer in layers}
    needed = [(train.name, graph.data_ancestors(train.writes)) for train in trains]
    owners = {}
    for layer in layers:
        sources = {node for write in layer.writes() for node, _ in write.leaves}
        owners[layer.name] = frozenset(
            name for name, mask in needed if any(mask[node] for node in sources)
        )
    return owners


def _scopes_of(layers: Iterable[Layer]) -> set[str]:
    """Returns the scopes of the layers' own ops; a tower's differ from its variables'."""
    return {layer.name for layer in layers} | {
        place.scope for layer in layers for place in layer.places
    }


def _conditions(graph: NodeGraph, updates: Iterable[int]) -> Iterator[str]:
    """Yields the scopes of conditions around updates: `net/cond_1` around `net/cond_1/ema`."""
    for node in updates:
        for scope in _scopes(graph.names[node]):
            if _CONDITION.search(scope):
                yield scope


def _unneeded(graph: NodeGraph, updates: list[int], own: set[str]) -> dict[int, Verdict]:
    """Returns the verdicts on ops that no train op needs.

    Args:
      graph: The graph.
      updates: The ops.
      own: Scopes of the layers and of conditions around the updates.
    """
    after = graph.descendants(updates)
    users = {node for node, reached in enumerate(after) if reached} - set(updates)
    computed = [node for node in sorted(users) if _mixes_in_data(graph, node, after, own)]
    search = _Search(graph, computed)
    verdicts = {}
    for node in updates:
        if node in search:
            path, target = search.path(node), search.target(node)
            verdicts[node] = Verdict(Wiring.LOSS, path, needed_by=target)
        else:
            verdicts[node] = Verdict(Wiring.NONE, _consumers(graph, node))
    return verdicts


def _mixes_in_data(graph: NodeGraph, node: int, after: bytearray, own: set[str]) -> bool:
    """Returns whether a user of updates computes with other data: a loss, and no mere group.

    What a layer adds to its own updates (conditions, reads of the variable) does not count.
    """
    others = [source for source, _ in graph.inputs(node) if not after[source]]
    name = graph.names[node]
    if not others or name in own or any(scope in own for scope in _scopes(name)):
        return False
    return any(graph.ops[source] != "Const" and variable_of(graph, source) < 0 for source in others)


def _scopes(name: str) -> Iterator[str]:
    cut = name.find("/")
    while cut >= 0:
        yield name[:cut]
        cut = name.find("/", cut + 1)


def _consumers(graph: NodeGraph, node: int) -> tuple[Hop, ...]:
    """Returns a way from an unwired op through what needs it, as far as it leads."""
    hops = [_hop(graph, node)]
    seen = {node}
    while len(hops) < _MAX_HOPS:
        edges = slice(graph.consumer_starts[node], graph.consumer_starts[node + 1])
        users = zip(graph.consumers[edges], graph.consumer_ports[edges], strict=True)
        after = next(((user, port) for user, port in users if user not in seen), None)
        if after is None:
            break
        node = after[0]
        seen.add(node)
        hops.append(_hop(graph, *after))
    return tuple(hops)
