"""Fields of one protocol-buffer message, one by one, for the few messages that are rare.

https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Iterator

Payload = int | float | bytes
Field = tuple[int, Payload]


class DecodeError(ValueError):
    """The bytes are not a protocol-buffer message; says at which byte, from the message's start."""


def fields(message: bytes) -> Iterator[Field]:
    """Yields number and value of each field: int (varint), float (fixed) or bytes (the rest).

    Raises:
      DecodeError: A field is cut off or has an unknown wire type.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire_type = key & 7
        if wire_type == 0:
            number, at = _varint(message, at)
            yield key >> 3, number
        elif wire_type == 2:
            length, at = _varint(message, at)
            if length > len(message) - at:
                raise DecodeError(f"field {key >> 3} at byte {at} is cut off")
            yield key >> 3, message[at : at + length]
            at += length
        elif wire_type in (1, 5):
            size, code = (8, "<d") if wire_type == 1 else (4, "<f")
            if size > len(message) - at:
                raise DecodeError(f"field {key >> 3} at byte {at} is cut off")
            yield key >> 3, struct.unpack_from(code, message, at)[0]
            at += size
        else:
            raise DecodeError(f"wire type {wire_type} at byte {at}")


def packed_varints(data: bytes) -> list[int]:
    """Returns the varints of a packed repeated field."""
    numbers, at = [], 0
    while at < len(data):
        number, at = _varint(data, at)
        numbers.append(number)
    return numbers


def signed(varint: int) -> int:
    """Returns the int64 that a varint stands for."""
    return varint - (1 << 64) if varint >> 63 else varint


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise DecodeError("the message ends inside a varint")
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, at
    raise DecodeError(f"varint of more than ten bytes at byte {at}")
