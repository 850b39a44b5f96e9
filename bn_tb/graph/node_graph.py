"""A graph of numbered nodes: what TensorFlow's GraphDef says, flat and fast to walk."""

import bisect
import dataclasses
import enum
import functools
from collections.abc import Iterable, Iterator
from typing import Any

from bn_tb.graph import graph_proto


class Edge(enum.IntEnum):
    """Kinds of edges that are not a numbered output of the source."""

    CONTROL = -1
    CALL = -2


_CONTROL = int(Edge.CONTROL)  # compared with millions of ports; an int is quicker than an enum

BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}
"""Calls of one of several functions: input 0 chooses, arguments follow."""
_MAX_NESTING = 20  # conditions inside of conditions; a function that calls itself never ends


@dataclasses.dataclass
class Body:
    """A function laid out: its argument nodes, its outputs, and the node that ends it."""

    arguments: list[int]
    returns: list[int]
    exit: int


@dataclasses.dataclass(frozen=True)
class NodeGraph:
    """Nodes are numbers from 0 to N - 1; the last one stands for every input that is not defined.

    Attributes:
      names: Name of each node; nodes of a branch carry the caller's name before.
      ops: Op type of each node.
      starts: Node i's edges are `starts[i]` to `starts[i + 1]`, `[N + 1]`.
      sources: Source node of each edge, `[E]`.
      ports: Output number of the source, or an `Edge`, `[E]`; data edges keep their order.
      consumer_starts: The same the other way round, `[N + 1]`.
      consumers: Target node of each edge by source, `[E]`.
      consumer_ports: What `ports` says of the same edge, `[E]`.
      calls: Bodies that a node calls, such as both branches of an If.
      outer: Number of nodes that are in no body; they come first.
    """

    names: list[str]
    ops: list[str]
    starts: list[int]
    sources: list[int]
    ports: list[int]
    consumer_starts: list[int]
    consumers: list[int]
    consumer_ports: list[int]
    calls: dict[int, list[Body]]
    outer: int
    _protos: list[Any]

    def inputs(self, node: int) -> list[tuple[int, int]]:
        """Returns (source, port) of each data input in order."""
        edges = slice(self.starts[node], self.starts[node + 1])
        pairs = zip(self.sources[edges], self.ports[edges], strict=True)
        return [pair for pair in pairs if pair[1] >= 0]

    def edges(self, node: int) -> list[tuple[int, int]]:
        """Returns (source, port or `Edge`) of each edge into a node."""
        edges = slice(self.starts[node], self.starts[node + 1])
        return list(zip(self.sources[edges], self.ports[edges], strict=True))

    def users(self, node: int) -> list[int]:
        """Returns the nodes that take an output of `node` or wait for it."""
        return self.consumers[self.consumer_starts[node] : self.consumer_starts[node + 1]]

    def data_users(self, node: int) -> list[int]:
        """Returns the nodes that take an output of `node`, or call it."""
        edges = slice(self.consumer_starts[node], self.consumer_starts[node + 1])
        users = zip(self.consumers[edges], self.consumer_ports[edges], strict=True)
        return [user for user, port in users if port != _CONTROL]

    def attr(self, node: int, key: bytes) -> Any | None:
        """Returns the value of an attribute, or None if it is missing or does not decode."""
        proto = self._protos[node]
        if proto is None:
            return None
        return next((value for k, value in graph_proto.attributes(proto, key) if k == key), None)

    def returned(self, node: int, port: int) -> list[int]:
        """Returns the nodes inside the bodies called by `node` that yield its output `port`."""
        bodies = self.calls.get(node, ())
        return [body.returns[port] for body in bodies if 0 <= port < len(body.returns)]

    def callers(self, node: int) -> Iterator[int]:
        """Yields the node that calls the body that `node` is in, then that node's caller, ..."""
        exits, callers = self._exits
        for _ in range(_MAX_NESTING):
            position = bisect.bisect_left(exits, node)
            if node < self.outer or position == len(exits):
                return
            node = callers[position]
            yield node

    @functools.cached_property
    def _exits(self) -> tuple[list[int], list[int]]:
        """The last node of each body in ascending order, and who calls that body."""
        pairs = sorted((body.exit, c) for c, bodies in self.calls.items() for body in bodies)
        return [last for last, _ in pairs], [caller for _, caller in pairs]

    def data_ancestors(self, seeds: Iterable[int]) -> bytearray:
        """Returns a mask `[N]` of the seeds and of all that they are computed from."""
        return self._reached(seeds, self.starts, self.sources, self.ports)

    def data_descendants(self, seeds: Iterable[int]) -> bytearray:
        """Returns a mask `[N]` of the seeds and of all that is computed from them."""
        return self._reached(seeds, self.consumer_starts, self.consumers, self.consumer_ports)

    def _reached(
        self, seeds: Iterable[int], starts: list[int], ends: list[int], ports: list[int]
    ) -> bytearray:
        """Returns a mask `[N]` of the seeds and of what edges other than of control lead to."""
        seen = bytearray(len(self.ops))
        stack = list(dict.fromkeys(seeds))
        for node in stack:
            seen[node] = 1
        while stack:
            node = stack.pop()
            for edge in range(starts[node], starts[node + 1]):
                end = ends[edge]
                if not seen[end] and ports[edge] != _CONTROL:
                    seen[end] = 1
                    stack.append(end)
        return seen

    def descendants(self, seeds: Iterable[int]) -> bytearray:
        """Returns a mask `[N]` of the seeds and all that needs them."""
        seen = bytearray(len(self.ops))
        stack = list(dict.fromkeys(seeds))
        for node in stack:
            seen[node] = 1
        while stack:
            for user in self.users(stack.pop()):
                if not seen[user]:
                    seen[user] = 1
                    stack.append(user)
        return seen
