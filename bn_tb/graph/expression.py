"""What an op writes, read from the graph as `own * old value + rest`.

This finds the momentum whatever the formula: `v - (v - x) * (1 - m)`, `v * m + x * (1 - m)`, a
fused kernel; with a constant or with one of several that a condition chooses.
"""

import dataclasses
import functools
import math
import struct
from collections.abc import Callable, Iterable

from bn_tb.graph.node_graph import BRANCHES, NodeGraph

PASS = {
    *("Identity", "RefIdentity", "ReadVariableOp", "Cast", "StopGradient", "Snapshot", "Squeeze"),
    *("Switch", "RefSwitch", "Enter", "RefEnter", "Exit", "NextIteration", "_Retval", "Reshape"),
    *("ExpandDims", "BroadcastTo", "PreventGradient", "CheckNumerics"),
}
"""Ops that hand their input on as far as a moving average is concerned."""
FUSED = {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}
VARIABLES = {"VariableV2", "Variable", "VarHandleOp", "AutoReloadVariable"}

_CHOICES = {"Merge": 0, "RefMerge": 0, "_Arg": 0, "Select": 1, "SelectV2": 1}  # first alternative
_MAX_DEPTH = 60  # nodes from an update to its variable: 7 in tf.layers, 22 in nested tf.cond
_MAX_NODES = 400  # bounds the work for each variable
_MAX_ALTERNATIVES = 8  # two conditions with two branches each are 4

Linear = tuple[float, float]
"""Own and rest; NaN where it is no constant."""
Output = tuple[int, int]
"""Node and output number."""


@dataclasses.dataclass
class Reader:
    """Reads what is written to one variable; `leaves` and `choosers` fill while it reads.

    Attributes:
      graph: The graph.
      root: The variable's node, or -1 to read an expression that has none.
      leaves: Outputs at which reading stopped because they are neither variable nor constant.
      choosers: Outputs that choose between alternatives, such as a `training` placeholder.
    """

    graph: NodeGraph
    root: int
    leaves: set[Output] = dataclasses.field(default_factory=set)
    choosers: set[Output] = dataclasses.field(default_factory=set)
    _known: dict[Output, frozenset[Linear]] = dataclasses.field(default_factory=dict)

    def read(self, node: int, port: int = 0, depth: int = 0) -> frozenset[Linear]:
        """Returns the alternatives for an output; more than a few count as no constant."""
        key = (node, port)
        if key not in self._known:
            self._known[key] = frozenset()  # a loop adds no alternative of its own
            too_far = depth > _MAX_DEPTH or len(self._known) > _MAX_NODES
            found = self._leaf(node, port) if too_far else self._read(node, port, depth)
            self._known[key] = _bounded(found)
        return self._known[key]

    def _read(self, node: int, port: int, depth: int) -> frozenset[Linear]:
        if node == self.root:
            return frozenset({(1.0, 0.0)})
        op = self.graph.ops[node]
        inputs = self.graph.inputs(node)
        if op == "Const":
            return frozenset({(0.0, constant(self.graph, node))})
        if op in _ARITHMETIC and inputs:
            operands = [self.read(*source, depth + 1) for source in inputs]
            return functools.reduce(functools.partial(_combined, _ARITHMETIC[op]), operands)
        if op in FUSED and port in (1, 2):
            return self._read_fused(node, port, depth)
        sources = self._sources(node, port, inputs)
        if not sources:
            return self._leaf(node, port)
        return frozenset().union(*(self.read(*source, depth + 1) for source in sources))

    def _sources(self, node: int, port: int, inputs: list[Output]) -> list[Output]:
        """Returns the outputs one of which this output hands on; notes what chooses."""
        op = self.graph.ops[node]
        if op in ("Switch", "RefSwitch") and len(inputs) > 1:
            self.choosers.add(inputs[1])
        returned = self.graph.returned(node, port)
        if returned:
            if op in BRANCHES:
                self.choosers.update(inputs[:1])
            return [(source, 0) for source in returned]
        if op == "IdentityN":
            return inputs[port : port + 1]
        if op == "Fill":
            return inputs[1:2]
        if op in _CHOICES:
            if op.startswith("Select"):
                self.choosers.update(inputs[:1])
            return inputs[_CHOICES[op] :]
        return inputs[:1] if op in PASS else []

    def _read_fused(self, node: int, port: int, depth: int) -> frozenset[Linear]:
        """Outputs 1 and 2 are the statistics that the kernel computed, or averaged in."""
        training, factor = fused_attributes(self.graph, node)
        inputs = self.graph.inputs(node)
        if training:
            self._leaf(node, port)
        if (training and factor == 1.0) or len(inputs) < 5:
            return frozenset({(0.0, math.nan)})
        old = self.read(*inputs[port + 2], depth + 1)
        if not training:
            return old
        return frozenset((own * (1 - factor) if own else 0.0, math.nan) for own, _ in old)

    def _leaf(self, node: int, port: int) -> frozenset[Linear]:
        self.leaves.add((node, port))
        return frozenset({(0.0, math.nan)})


def _times(left: float, right: float) -> float:
    return 0.0 if 0.0 in (left, right) else left * right


def _multiply(left: Linear, right: Linear) -> Linear:
    rest = _times(left[1], right[1])
    if left[0] == 0.0:
        return _times(left[1], right[0]), rest
    if right[0] == 0.0:
        return _times(left[0], right[1]), rest
    return math.nan, math.nan


def _divide(left: Linear, right: Linear) -> Linear:
    if right[0] != 0.0 or right[1] == 0.0:
        return math.nan, math.nan
    return _times(left[0], 1 / right[1]), _times(left[1], 1 / right[1])


_ARITHMETIC: dict[str, Callable[[Linear, Linear], Linear]] = {
    **dict.fromkeys(("Add", "AddV2", "AddN"), lambda a, b: (a[0] + b[0], a[1] + b[1])),
    "Sub": lambda a, b: (a[0] - b[0], a[1] - b[1]),
    **dict.fromkeys(("Mul", "MulNoNan"), _multiply),
    **dict.fromkeys(("RealDiv", "Div", "DivNoNan"), _divide),
}


def _combined(
    combine: Callable[[Linear, Linear], Linear], left: frozenset[Linear], right: frozenset[Linear]
) -> frozenset[Linear]:
    return _bounded(combine(a, b) for a in left for b in right)


def _bounded(alternatives: Iterable[Linear]) -> frozenset[Linear]:
    """Returns the alternatives with one and the same NaN, or unknown if there are too many."""
    distinct = frozenset(
        (own if own == own else math.nan, rest if rest == rest else math.nan)
        for own, rest in alternatives
    )
    return distinct if len(distinct) <= _MAX_ALTERNATIVES else frozenset({(math.nan, math.nan)})


def fused_attributes(graph: NodeGraph, node: int) -> tuple[bool, float]:
    """Returns `is_training` and `exponential_avg_factor` (1 - momentum; 1 for no average).

    Defaults are those of tensorflow/core/ops/nn_ops.cc.
    """
    training = graph.attr(node, b"is_training")
    factor = graph.attr(node, b"exponential_avg_factor")
    return training is None or bool(training.b), 1.0 if factor is None else float(factor.f)


def constant(graph: NodeGraph, node: int) -> float:
    """Returns the value of a Const whose elements are all equal, else NaN."""
    value = graph.attr(node, b"value")
    if value is None:
        return math.nan
    tensor = value.tensor
    for values in (
        *(tensor.float_val, tensor.double_val, tensor.int_val, tensor.int64_val, tensor.bool_val),
    ):
        if values:
            return float(values[0]) if min(values) == max(values) else math.nan
    packed = _PACKED.get(tensor.dtype)
    content: bytes = tensor.tensor_content
    size = struct.calcsize(packed) if packed else 0
    if not packed or not content or content[:size] * (len(content) // size) != content:
        # Without any value every element is 0: tensorflow/core/framework/tensor.proto.
        return math.nan if content or tensor.string_val or tensor.half_val else 0.0
    return float(struct.unpack(packed, content[:size])[0])


_PACKED = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 10: "<?"}  # tensorflow/core/framework/types.proto


_RESOURCE = 20  # DT_RESOURCE, tensorflow/core/framework/types.proto


def is_variable(graph: NodeGraph, node: int) -> bool:
    """Returns whether a node is a variable, or a resource that a function gets from outside."""
    op = graph.ops[node]
    if op in VARIABLES:
        return True
    if op not in ("Placeholder", "_Arg") or graph.starts[node] != graph.starts[node + 1]:
        return False
    kind = graph.attr(node, b"dtype" if op == "Placeholder" else b"T")
    return kind is not None and kind.type == _RESOURCE


def variable_of(graph: NodeGraph, node: int) -> int:
    """Returns the variable behind a handle, a reference or a value read from it; else -1."""
    for _ in range(_MAX_DEPTH):
        if is_variable(graph, node):
            return node
        if graph.ops[node] not in PASS and graph.ops[node] != "_Arg":
            return -1
        inputs = graph.inputs(node)
        if not inputs:
            return -1
        node = inputs[0][0]
    return -1
