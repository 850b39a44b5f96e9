"""The part of TensorFlow's graph protos that we read, as protobuf messages built at run time.

What may nest or is large (attributes, shapes, gradients) is declared as bytes or not at all, so
that it costs nothing and hits no recursion limit until somebody asks for it.
"""

import functools
from collections.abc import Iterator
from typing import Any

from bn_tb.events import schema
from bn_tb.events.schema import BOOL, BYTES, DOUBLE, FLOAT, Schema
from bn_tb.events.schema import INT64 as INT

# Message: {field: (number, type or message, repeated)}; numbers from tensorflow/core/framework and
# tensorflow/core/protobuf at v2.21.0.
SCHEMA: Schema = {
    "Graph": {"node": (1, "Node", True), "library": (2, "Library", False)},
    "Node": {
        "name": (1, BYTES, False),
        "op": (2, BYTES, False),
        "input": (3, BYTES, True),
        "attr": (5, BYTES, True),
    },
    "Attr": {"key": (1, BYTES, False), "value": (2, "Value", False)},
    "Value": {
        "list": (1, "List", False),
        "s": (2, BYTES, False),
        "i": (3, INT, False),
        "f": (4, FLOAT, False),
        "b": (5, BOOL, False),
        "type": (6, INT, False),
        "tensor": (8, "Tensor", False),
        "func": (10, "Func", False),
    },
    "List": {"func": (9, "Func", True)},
    "Func": {"name": (1, BYTES, False)},
    "Tensor": {
        "dtype": (1, INT, False),
        "tensor_content": (4, BYTES, False),
        "float_val": (5, FLOAT, True),
        "double_val": (6, DOUBLE, True),
        "int_val": (7, INT, True),
        "string_val": (8, BYTES, True),
        "int64_val": (10, INT, True),
        "bool_val": (11, BOOL, True),
        "half_val": (13, INT, True),
    },
    "Library": {"function": (1, "Function", True)},
    "Function": {
        "signature": (1, "Signature", False),
        "node": (3, "Node", True),
        "ret": (4, "Pair", True),
        "control_ret": (6, "Pair", True),
    },
    "Signature": {
        "name": (1, BYTES, False),
        "input_arg": (2, "Arg", True),
        "output_arg": (3, "Arg", True),
    },
    "Arg": {"name": (1, BYTES, False)},
    "Pair": {"key": (1, BYTES, False), "value": (2, BYTES, False)},
    "MetaGraph": {"graph": (2, BYTES, False), "collection": (4, "Collection", True)},
    "Collection": {"key": (1, BYTES, False), "value": (2, "CollectionValue", False)},
    "CollectionValue": {"nodes": (1, "Strings", False), "protos": (2, "Strings", False)},
    "Strings": {"value": (1, BYTES, True)},
    "RunMetadata": {
        "step_stats": (1, "StepStats", False),
        "function_graphs": (4, "FunctionGraphs", True),
    },
    "FunctionGraphs": {"before": (2, BYTES, False)},
    "StepStats": {"device": (1, "DeviceStats", True)},
    "DeviceStats": {"node": (2, "NodeStats", True)},
    "NodeStats": {"name": (1, BYTES, False)},
}


@functools.cache
def _classes() -> dict[str, Any]:
    return schema.classes("bn_tb_graph", SCHEMA)


def message(kind: str) -> Any:
    """Returns the class of a message of the schema, such as `Graph`."""
    return _classes()[kind]


def parse(kind: str, data: bytes) -> Any:
    """Returns the decoded message.

    Args:
      kind: A message of the schema: `Graph`, `MetaGraph`, `RunMetadata`, `Attr` ...
      data: Serialized proto.

    Raises:
      ValueError: The bytes are not such a message.
    """
    return schema.parsed(message(kind), data)


def attributes(node: Any, *holding: bytes) -> Iterator[tuple[bytes, Any]]:
    """Yields key and value of a node's attributes; those that do not decode are left out.

    Args:
      node: A decoded node.
      holding: Bytes of which those of an attribute hold one, or it is left out unread.
    """
    for data in node.attr:
        if not any(part in data for part in holding):
            continue
        try:
            entry = parse("Attr", data)
        except ValueError:
            continue
        yield entry.key, entry.value


def text(name: bytes) -> str:
    """Returns a name as text; bytes that are not UTF-8 become replacement characters."""
    return name.decode("utf-8", "replace")
