"""From a decoded GraphDef and its function library to one flat graph.

Every function that is called is laid out once, whatever calls it, so that the size stays linear
and recursive libraries are no more than cycles. A call is an `Edge.CALL` from the function's exit.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.events import wire
from bn_tb.graph import graph_proto
from bn_tb.graph.node_graph import BRANCHES, Body, Edge, NodeGraph

# Outputs that function bodies name instead of numbering (tensorflow/core/ops/nn_ops.cc and
# control_flow_ops.cc).
_OUTPUTS = {b"batch_mean": 1, b"batch_variance": 2, b"output_true": 1, b"value_index": 1}
# The keys of the fields by which attributes name a function, or several.
_FUNCTION, _FUNCTIONS = (bytes([wire.key(number, wire.BYTES)]) for number in (10, 9))
_LOOPS = {"While", "StatelessWhile"}  # what the body returns are its next arguments
_EFFECTS = (
    *("Assign", "Apply", "Resource", "Sparse", "Scatter"),
    *("If", "While", "Stateful", "Partitioned"),
)


def build(graph: Any) -> NodeGraph:
    """Returns the flat graph of a decoded `Graph` message."""
    functions = {function.signature.name: function for function in graph.library.function}
    builder = _Builder(functions)
    builder.add_nodes(list(graph.node), "", {})
    builder.outer = len(builder.names)
    builder.expand()
    return builder.finish()


class _Builder:
    """Lays out nodes and edges; one per graph."""

    def __init__(self, functions: dict[bytes, Any]) -> None:
        self.functions = functions
        self.names: list[str] = []
        self.ops: list[str] = []
        self.protos: list[Any] = []
        self.targets: list[int] = []
        self.sources: list[int] = []
        self.ports: list[int] = []
        self.bodies: dict[bytes, Body] = {}
        self.calls: dict[int, list[Body]] = {}
        self.outer = 0
        self.pending: list[tuple[int, bytes, list[tuple[int, int]]]] = []  # caller, callee, inputs

    def add(self, name: str, op: str, proto: Any = None) -> int:
        self.names.append(name)
        self.ops.append(op)
        self.protos.append(proto)
        return len(self.names) - 1

    def link(self, target: int, source: int, port: int) -> None:
        self.targets.append(target)
        self.sources.append(source)
        self.ports.append(port)

    def add_nodes(self, nodes: Sequence[Any], scope: str, index: dict[bytes, int]) -> None:
        """Appends nodes and their edges; `index` resolves names and learns the new ones."""
        first = len(self.names)
        names = [node.name for node in nodes]
        ops = [node.op for node in nodes]
        as_text = {op: graph_proto.text(op) for op in set(ops)}
        self.names += [scope + name.decode("utf-8", "replace") for name in names]
        self.ops += [as_text[op] for op in ops]
        self.protos += nodes
        numbers = range(first, first + len(names))
        known = dict(zip(reversed(names), reversed(numbers), strict=True)) | index
        index.update(known)
        inputs = [node.input for node in nodes]
        first_edge = len(self.sources)
        counts = list(map(len, inputs))
        self.targets += itertools.chain.from_iterable(map(itertools.repeat, numbers, counts))
        self._add_sources(list(itertools.chain.from_iterable(inputs)), index)
        if self.functions:
            starts = itertools.accumulate(counts, initial=first_edge)
            self._note_calls(first, nodes, ops, list(starts))

    def _add_sources(self, inputs: list[bytes], index: dict[bytes, int]) -> None:
        sources = list(map(index.get, inputs, itertools.repeat(-1)))
        ports = [0] * len(inputs)
        for position in [at for at, source in enumerate(sources) if source < 0]:
            sources[position], ports[position] = _resolve(inputs[position], index)
        self.sources += sources
        self.ports += ports

    def _note_calls(
        self, first: int, nodes: Sequence[Any], ops: list[bytes], starts: list[int]
    ) -> None:
        example = dict(zip(ops, nodes, strict=True))
        calling = {op for op, node in example.items() if _called(node, self.functions)}
        for offset, op in enumerate(ops):
            if op in calling:
                edges = range(starts[offset], starts[offset + 1])
                inputs = [(self.sources[e], self.ports[e]) for e in edges if self.ports[e] >= 0]
                for name in _called(nodes[offset], self.functions):
                    self.pending.append((first + offset, name, inputs))

    def expand(self) -> None:
        """Lays out every function that is called, and those that it calls."""
        while self.pending:
            caller, name, inputs = self.pending.pop()
            op = self.ops[caller]
            if name not in self.bodies:
                # Branches name their nodes anew; loops and functions keep the names of the layers.
                scope = self.names[caller] + "/" if op in BRANCHES else ""
                self.bodies[name] = self._lay_out(name, scope)
            body = self.bodies[name]
            self.calls.setdefault(caller, []).append(body)
            for argument, (source, port) in zip(
                body.arguments, inputs[1:] if op in BRANCHES else inputs, strict=False
            ):
                self.link(argument, source, port)
            if op in _LOOPS:
                for argument, value in zip(body.arguments, body.returns, strict=False):
                    self.link(argument, value, 0)
            self.link(caller, body.exit, Edge.CALL)

    def _lay_out(self, name: bytes, scope: str) -> Body:
        function = self.functions[name]
        index: dict[bytes, int] = {}
        arguments = []
        for argument in function.signature.input_arg:
            arguments.append(self.add(scope + graph_proto.text(argument.name), "_Arg"))
            index.setdefault(argument.name, arguments[-1])
        first = len(self.names)
        self.add_nodes(function.node, scope, index)
        last = len(self.names)
        exit_node = self.add(scope + graph_proto.text(name), "_Exit")
        returned = {pair.key: pair.value for pair in function.ret}
        returns = []
        for output in function.signature.output_arg:
            returns.append(self.add(scope + graph_proto.text(output.name), "_Retval"))
            self.link(returns[-1], *_resolve(returned.get(output.name, b""), index))
            self.link(exit_node, returns[-1], 0)
        effects = [index.get(pair.value, -1) for pair in function.control_ret]
        # Functions of old TensorFlow list no side effects; all of them run.
        effects = effects or [n for n in range(first, last) if self.ops[n].startswith(_EFFECTS)]
        for effect in effects:
            self.link(exit_node, effect, Edge.CONTROL)
        return Body(arguments, returns, exit_node)

    def finish(self) -> NodeGraph:
        """Returns the graph; undefined inputs become edges from one last node."""
        count = self.add("", "_Undefined") + 1
        targets = np.array(self.targets, dtype=np.int64)
        sources = np.array(self.sources, dtype=np.int64)
        sources[sources < 0] = count - 1
        ports = np.array(self.ports, dtype=np.int64)
        order = np.argsort(targets, kind="stable")
        reverse = np.argsort(sources, kind="stable")
        return NodeGraph(
            names=self.names,
            ops=self.ops,
            starts=_starts(targets, count),
            sources=sources[order].tolist(),
            ports=ports[order].tolist(),
            consumer_starts=_starts(sources, count),
            consumers=targets[reverse].tolist(),
            consumer_ports=ports[reverse].tolist(),
            calls=self.calls,
            outer=self.outer,
            _protos=self.protos,
        )


def _starts(ends: npt.NDArray[np.int64], count: int) -> list[int]:
    starts: list[int] = np.concatenate(
        [[0], np.cumsum(np.bincount(ends, minlength=count))]
    ).tolist()
    return starts


def _resolve(name: bytes, index: dict[bytes, int]) -> tuple[int, int]:
    """Returns source and port of `^node`, `node:1` or `node:output:0`; source -1 if undefined."""
    if name[:1] == b"^":
        return index.get(name[1:], -1), Edge.CONTROL
    node, _, rest = name.partition(b":")
    output, _, number = rest.rpartition(b":")
    port = int(number) if number.isdigit() and len(number) < 6 else 0
    return index.get(node, -1), port + _OUTPUTS.get(output, 0)


def _called(proto: Any, known: dict[bytes, Any]) -> list[bytes]:
    """Names of library functions that a node calls, each once."""
    names = [proto.op] if proto.op in known else []
    for _, value in graph_proto.attributes(proto, _FUNCTION, _FUNCTIONS):
        names += [value.func.name, *(func.name for func in value.list.func)]
    return [name for name in dict.fromkeys(names) if name in known]
