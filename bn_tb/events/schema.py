"""Protobuf messages with the fields that we read, made at run time.

Strings are declared as bytes: one bad UTF-8 byte would make protobuf refuse the whole message.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from bn_tb.events import wire

DOUBLE, FLOAT, INT64, UINT64, INT32, BOOL, BYTES, UINT32 = 1, 2, 3, 4, 5, 8, 12, 13
"""FieldDescriptorProto.Type."""

Schema = Mapping[str, Mapping[str, tuple[int, int | str, bool]]]
"""Message: {field: (number, type or message, repeated)}."""

_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3


def classes(
    package: str, schema: Schema, oneofs: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """Returns the classes of the messages.

    Args:
      package: Where their names live.
      schema: The messages.
      oneofs: Fields of a message of which the last one that is set counts.
    """
    # Imported here: a logdir without graphs and odd messages need not pay for protobuf.
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in schema.items():
        alternatives = (oneofs or {}).get(name, ())
        message: Any = file.message_type.add(name=name)
        if alternatives:
            message.oneof_decl.add(name="one")
        for field, (number, kind, repeated) in fields.items():
            label = _REPEATED if repeated else _OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _MESSAGE, f".{package}.{kind}"
            else:
                added.type = kind
            if field in alternatives:
                added.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in schema
    }


def parsed(kind: Any, data: bytes) -> Any:
    """Returns a decoded message of a class.

    Raises:
      wire.DecodeError: The bytes are not such a message.
    """
    try:
        return kind.FromString(data)
    except _decode_error() as error:
        raise wire.DecodeError(" ".join(str(error).split())) from None


@functools.cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError
