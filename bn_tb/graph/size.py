"""How large a graph would become, found out before it is decoded.

Two bytes are an empty node, and a decoded node costs about a kilobyte: what a graph holds is
counted on its bytes, and what holds too much is not decoded.
"""

import array
import dataclasses
from collections.abc import Iterator

import numpy as np

from bn_tb.events import wire
from bn_tb.events.fields import PADDING, Buffer, find_fields
from bn_tb.events.schema import BYTES
from bn_tb.graph import graph_proto
from bn_tb.runs.series import IntArray

MOST_NODES = 1 << 18
"""Of one graph; multi-tower Inception-ResNets have about 100,000."""
MOST_PARTS = 1 << 21
"""Nodes, inputs, attributes and all else that repeats in a graph; a node has about six."""

_SMALL = 1 << 15  # parts that need no remark, whatever their size
_LEAST_BYTES = 5  # of a part on average; 14 in graphs of programs
_FEW = 12  # messages; below, numpy's overhead is more than a plain loop
_USUAL = 64  # fields of a message; of those with more, each is walked alone
_NODE = wire.key(1, wire.BYTES)
_PARTS = {
    kind: {
        wire.key(number, wire.BYTES): part if isinstance(part, str) else ""
        for number, part, repeated in fields.values()
        if isinstance(part, str) or (repeated and part == BYTES)
    }
    for kind, fields in graph_proto.SCHEMA.items()
}
"""Fields that hold or are parts, by message: the message that they hold, or an empty string."""


@dataclasses.dataclass(frozen=True)
class Size:
    """What a graph holds.

    Attributes:
      nodes: Nodes, without those of functions.
      parts: Everything that repeats.
      first: The first node, serialized.
      last: The last node, serialized.
    """

    nodes: int
    parts: int
    first: bytes
    last: bytes


def measure(kind: str, data: bytes) -> Size:
    """Returns the size of a message of the schema, such as `Graph`.

    Raises:
      ValueError: It is too large to be decoded, or is no such message.
    """
    buffer = Buffer(data + bytes(PADDING))
    nodes, parts, first, last = 0, 0, b"", b""
    most = min(MOST_PARTS, max(_SMALL, len(data) // _LEAST_BYTES))
    waiting = [(kind, np.zeros(1, np.int64), np.full(1, len(data)))]
    while waiting:
        name, starts, stops = waiting.pop()
        for part, at, end in _inside(buffer, name, starts, stops, most):
            parts += len(at)
            if parts > most or (part == "Node" and len(at) > MOST_NODES):
                raise ValueError(f"more than {MOST_NODES:,} nodes, or {most:,} parts")
            if name == "Graph" and part == "Node" and len(at):
                nodes, first, last = len(at), data[at[0] : end[0]], data[at[-1] : end[-1]]
            if part and len(at):
                waiting.append((part, at, end))
    return Size(nodes, parts, first, last)


def _inside(
    buffer: Buffer, kind: str, starts: IntArray, stops: IntArray, most: int
) -> Iterator[tuple[str, IntArray, IntArray]]:
    """Yields what messages of one kind hold: the kind of the part, and where each is."""
    wanted = _PARTS[kind]
    if not wanted:
        return
    alone = np.ones(len(starts), bool)
    found = {key: list[tuple[IntArray, IntArray]]() for key in wanted}
    if len(starts) >= _FEW:
        fields = find_fields(buffer, starts, stops, wanted, _USUAL)
        alone = fields.bad
        for key in wanted:
            message, at, size = fields.each(key)
            usual = ~alone[message]
            found[key].append((at[usual], (at + size)[usual]))
    walked = {key: array.array("q") for key in wanted}
    for one in np.flatnonzero(alone).tolist():
        _walk(buffer.data, int(starts[one]), int(stops[one]), walked, most)
    for key, flat in walked.items():
        spans = np.array(flat).reshape(-1, 2)
        found[key].append((spans[:, 0], spans[:, 1]))
        at, end = (np.concatenate(column) for column in zip(*found[key], strict=True))
        yield wanted[key], at, end


def _walk(data: bytes, at: int, end: int, spans: "dict[int, array.array[int]]", most: int) -> None:
    """Adds where the wanted fields of one message begin and end."""
    room = 2 * most - sum(map(len, spans.values()))
    while at < end:
        key, body, after = _field(data, at, end)
        if key in spans:
            spans[key].extend((body, after))
            room -= 2
            if room < 0:
                raise ValueError(f"more than {most:,} parts")
        at = after


def _field(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Returns what `wire.walk` yields first, less the size; quicker for lengths of two bytes."""
    key, low, high = data[at], data[at + 1], data[at + 2]
    if key < 128 and key & 7 == wire.BYTES and (low < 128 or high < 128):
        body, size = (at + 2, low) if low < 128 else (at + 3, (high << 7) + low - 128)
        if body + size <= end:
            return key, body, body + size
    key, body, _, after = next(wire.walk(data, at, end))
    return key, body, after
