"""Events in unusual forms, decoded by protobuf itself: its rules of merging are many.

A message may hold deprecated groups, unknown fields, a field of a oneof after another one, or a
submessage in two parts (https://protobuf.dev/programming-guides/encoding/#last-one-wins). Writers
of event files do none of this, so the columns are made for what they do, and all else is rewritten
here first.
"""

import functools
from typing import Any

from bn_tb.events import schema
from bn_tb.events.schema import BOOL, BYTES, DOUBLE, FLOAT, INT32, INT64, UINT32, UINT64, Schema

LARGEST = 1 << 19
"""Bytes of an unusual record; decoded by protobuf, two bytes may take a hundred."""

# Numbers from tensorflow/core/util/event.proto and tensorflow/core/framework/{summary,tensor,
# tensor_shape}.proto, tensorboard/plugins/hparams/plugin_data.proto.
_SCHEMA: Schema = {
    "Event": {
        "wall_time": (1, DOUBLE, False),
        "step": (2, INT64, False),
        "file_version": (3, BYTES, False),
        "graph_def": (4, BYTES, False),
        "summary": (5, "Summary", False),
        "log_message": (6, BYTES, False),
        "session_log": (7, "SessionLog", False),
        "tagged_run_metadata": (8, "TaggedRunMetadata", False),
        "meta_graph_def": (9, BYTES, False),
    },
    "Summary": {"value": (1, "Value", True)},
    "Value": {
        "tag": (1, BYTES, False),
        "simple_value": (2, FLOAT, False),
        "obsolete_old_style_histogram": (3, BYTES, False),
        "image": (4, BYTES, False),
        "histo": (5, "Histo", False),
        "audio": (6, BYTES, False),
        "tensor": (8, "Tensor", False),
        "metadata": (9, "Metadata", False),
    },
    "Metadata": {"plugin_data": (1, "PluginData", False)},
    "PluginData": {"plugin_name": (1, BYTES, False), "content": (2, BYTES, False)},
    "Histo": {
        **{
            name: (number, DOUBLE, False)
            for number, name in enumerate(("min", "max", "num", "sum", "sum_squares"), start=1)
        },
        "bucket_limit": (6, DOUBLE, True),
        "bucket": (7, DOUBLE, True),
    },
    "Tensor": {
        "dtype": (1, INT32, False),
        "shape": (2, "Shape", False),
        "content": (4, BYTES, False),
        "float_val": (5, FLOAT, True),
        "double_val": (6, DOUBLE, True),
        "int_val": (7, INT32, True),
        "string_val": (8, BYTES, True),
        "int64_val": (10, INT64, True),
        "bool_val": (11, BOOL, True),
        "half_val": (13, INT32, True),
        "uint32_val": (16, UINT32, True),
        "uint64_val": (17, UINT64, True),
    },
    "Shape": {"dim": (2, "Dim", True)},
    "Dim": {"size": (1, INT64, False)},
    "SessionLog": {"status": (1, INT32, False)},
    "TaggedRunMetadata": {"tag": (1, BYTES, False), "run_metadata": (2, BYTES, False)},
    "HParams": {"session_start_info": (3, "SessionStart", False)},
    "SessionStart": {"hparams": (1, "HParam", True)},
    "HParam": {"key": (1, BYTES, False), "value": (2, "HValue", False)},
    "HValue": {
        "number_value": (2, DOUBLE, False),
        "string_value": (3, BYTES, False),
        "bool_value": (4, BOOL, False),
    },
}
_ONEOFS = {
    "Event": tuple(_SCHEMA["Event"])[2:],
    "Value": (
        *("simple_value", "obsolete_old_style_histogram", "image", "histo", "audio"),
        "tensor",
    ),
    "HValue": tuple(_SCHEMA["HValue"]),
}


@functools.cache
def _classes() -> dict[str, Any]:
    return schema.classes("bn_tb_events", _SCHEMA, _ONEOFS)


def parse(kind: str, data: bytes) -> Any:
    """Returns a decoded message of the schema.

    Raises:
      wire.DecodeError: The bytes are not such a message.
    """
    return schema.parsed(_classes()[kind], data)


def canonical(event: bytes) -> bytes:
    """Returns an event as our columns take it: no unknown fields, each field once, all packed.

    Raises:
      wire.DecodeError: The bytes are not an event.
    """
    message = parse("Event", event)
    message.DiscardUnknownFields()
    data: bytes = message.SerializeToString()
    return data
