"""Fields of protocol-buffer messages one by one: for messages that are few, and as the reference.

https://protobuf.dev/programming-guides/encoding/
"""

import struct
import sys
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types in use; groups (3 and 4) are not written since proto3, see `protos`."""

MAX_VARINT_BYTES = 10

Payload = int | float | bytes


class DecodeError(ValueError):
    """The bytes are not the message they should be; says why in one line."""


def key(number: int, wire_type: int) -> int:
    """Returns the varint that introduces a field."""
    return number << 3 | wire_type


def walk(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields key, position, size and following position of each field in `data[at:end]`.

    Position and size are those of the field's content; for varints, size is the number itself.

    Raises:
      DecodeError: A field is cut off or has an unknown wire type.
    """
    while at < end:
        field, body = data[at], at + 1
        if field > 127:
            field, body = varint(data, at, end)
        wire_type = field & 7
        if wire_type == BYTES:
            size, after = (data[body], body + 1) if body < end else (128, end)
            if size > 127:
                size, after = varint(data, body, end)
            body, after = after, after + size
        elif wire_type == VARINT:
            size, after = varint(data, body, end)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
            after = body + size
        else:
            raise DecodeError(f"field of wire type {wire_type}")
        if after > end:
            raise DecodeError("a field that is longer than its message")
        yield field, body, size, after
        at = after


FEW = 16
"""Fields of a small message; for what has more, protobuf is quicker and not in the way."""


def fields(message: bytes, most: int = sys.maxsize) -> Iterator[tuple[int, Payload]]:
    """Yields number and value of each field: int (varint), float (fixed) or bytes (the rest).

    Raises:
      DecodeError: A field is cut off or has an unknown wire type, or there are more than `most`.
    """
    for count, (field, at, size, _) in enumerate(walk(message, 0, len(message))):
        if count == most:
            raise DecodeError(f"more than {most} fields")
        wire_type = field & 7
        if wire_type == VARINT:
            yield field >> 3, size
        elif wire_type == BYTES:
            yield field >> 3, message[at : at + size]
        else:
            code = "<d" if wire_type == FIXED64 else "<f"
            yield field >> 3, struct.unpack_from(code, message, at)[0]


def packed_varints(data: bytes) -> list[int]:
    """Returns the varints of a packed repeated field."""
    numbers, at = [], 0
    while at < len(data):
        number, at = varint(data, at, len(data))
        numbers.append(number)
    return numbers


def signed(number: int) -> int:
    """Returns the int64 that a varint stands for."""
    return number - (1 << 64) if number >> 63 else number


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Returns the number that begins at `at`, and where it ends.

    Raises:
      DecodeError: It does not end before `end`.
    """
    if at < end and data[at] < 128:  # most are one byte
        return data[at], at + 1
    number = shift = 0
    for position in range(at, min(end, at + MAX_VARINT_BYTES)):
        byte = data[position]
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, position + 1
        shift += 7
    raise DecodeError("a number that does not end")
