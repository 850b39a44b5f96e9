"""Fields of many protocol-buffer messages at once.

A window of an event file holds thousands of messages of one kind. They are walked in lock-step:
each round reads one field of every message that has one left, so the number of numpy calls depends
on the longest message, not on the number of messages, and nothing is assumed of the fields' order.

To change it:
- Invariant: `find_fields` finds what `wire.walk` finds in each message; a message is bad exactly
  where that raises. Loads may reach `PADDING` bytes behind the last message, never further.
- Fallback: below `_FEW` messages that are left, each is walked by `wire.walk`; where `_follow`
cannot
  follow lengths alone, `find_fields` does.
- What it buys: the fields of 40,000 events in 3.6 instead of 171 ms.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.events import wire
from bn_tb.runs.series import FloatArray, IntArray

UIntArray = npt.NDArray[np.uint64]
BoolArray = npt.NDArray[np.bool_]

PADDING = 64
"""Bytes that a Buffer needs behind its last message: loads are wider than what they look for."""

_U64 = np.arange(64, dtype=np.uint64)  # numpy has no cheap unsigned scalars
_SEVEN_BITS, _OCTET, _SEVEN_OCTETS = np.uint64(127), np.uint64(255), np.uint64((1 << 56) - 1)
_FAR = 1 << 48  # a position behind every file: what ends there is cut off
_LONG = 256  # fields of a message that is better walked alone
_FEW = 12  # messages; below, a plain loop is faster than numpy's overhead per call


class Buffer:
    """Bytes with vectorised loads at any offset; `data` ends with `PADDING` bytes of anything."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._octets = np.frombuffer(data, np.uint8)
        self._words = self._items(8)
        self._shorts_behind = self._items(2)[1:]

    def _items(self, size: int) -> npt.NDArray[np.void]:
        count = max(len(self.data) - size + 1, 0)
        return np.ndarray((count,), f"V{size}", self.data, strides=(1,))

    def shorts_behind(self, at: IntArray) -> npt.NDArray[np.uint16]:
        """Returns the two bytes behind the one at each offset, uint16 `[N]`."""
        return self._shorts_behind[at].view("<u2")

    def words(self, at: IntArray) -> UIntArray:
        """Returns the 8 bytes at each offset, uint64 `[N]`."""
        return self._words[at].view("<u8")

    def doubles(self, at: IntArray) -> FloatArray:
        """Returns the double at each offset; 0, the default of proto3, where it is negative."""
        return self._or_zero(at, self._words[at].view("<f8"))

    def floats(self, at: IntArray) -> FloatArray:
        """Returns the float at each offset, widened; 0 where the offset is negative."""
        return self._or_zero(at, self._words[at].view("<f4")[::2].astype(np.float64))

    def _or_zero(self, at: IntArray, values: FloatArray) -> FloatArray:
        values[at < 0] = 0.0
        return values

    def rows(self, at: IntArray, count: int, dtype: str) -> npt.NDArray[Any]:
        """Returns `count` little-endian numbers at each offset, `[N, count]`."""
        size = count * np.dtype(dtype).itemsize
        return self._items(size)[at].view(dtype).reshape(len(at), count)

    def varints(
        self, at: IntArray, word: UIntArray | None = None, valid: int = 8
    ) -> tuple[UIntArray, IntArray]:
        """Returns the varint at each offset and its size; a size of `_FAR` where it never ends.

        Args:
          at: Offsets, int64 `[N]`.
          word: The bytes there if they are loaded already, uint64 `[N]`.
          valid: How many of its bytes are loaded.
        """
        word = self.words(at) if word is None else word
        number, more = word & _SEVEN_BITS, word >> _U64[7] & _U64[1]
        size, first = more.view(np.int64) + 1, 0
        for byte in range(1, wire.MAX_VARINT_BYTES):
            if not _some(more):
                return number, size
            if byte == valid:
                word, first = self.words(at + byte), byte
            octet = word >> _U64[8 * (byte - first)]
            number |= (octet & _SEVEN_BITS) * more << _U64[7 * byte]
            more &= octet >> _U64[7]
            size += more.view(np.int64)
        size[more > 0] = _FAR
        return number, size


class Fields:
    """Where the wanted fields of N messages are.

    Attributes:
      bad: Messages that are not well-formed, bool `[N]`; nothing else is true of them.
    """

    def __init__(self, count: int, keys: Iterable[int]) -> None:
        self.bad: BoolArray = np.zeros(count, bool)
        self._found: dict[int, list[tuple[IntArray, IntArray, UIntArray]]] = {k: [] for k in keys}

    @property
    def keys(self) -> Iterable[int]:
        """The wanted fields."""
        return self._found.keys()

    def add(self, key: UIntArray, message: IntArray, at: IntArray, size: UIntArray) -> None:
        """Takes one round: key, message, position and size (or number) of fields.

        A round has one field of each of some messages, or all of one message that have one key.
        """
        if _alike(key):
            if (found := self._found.get(int(key[0]))) is not None:
                found.append((message, at, size))
            return
        for wanted, found in self._found.items():
            hits = np.flatnonzero(key == np.uint64(wanted))
            if hits.size:
                found.append((message[hits], at[hits], size[hits]))

    def each(self, key: int) -> tuple[IntArray, IntArray, IntArray]:
        """Returns message, position and size of every such field, in the order of the messages."""
        rounds = self._found[key]
        if not rounds:
            none = np.zeros(0, np.int64)
            return none, none, none
        message, at, size = _by_message(rounds)
        return message, at, size.view(np.int64)

    def last(self, key: int) -> tuple[IntArray, IntArray]:
        """Returns position (else -1) and size or number (else 0) of each last such field."""
        rounds = self._found[key]
        if not rounds:
            return self._absent
        if len(rounds) == 1 and np.array_equal(rounds[0][0], np.arange(len(self.bad))):
            return rounds[0][1], rounds[0][2].view(np.int64)
        where = np.full(len(self.bad), -1, np.int64)
        sizes = np.zeros(len(self.bad), np.int64)
        for message, at, size in rounds:
            where[message], sizes[message] = at, size.view(np.int64)
        return where, sizes

    @functools.cached_property
    def _absent(self) -> tuple[IntArray, IntArray]:
        return np.full(len(self.bad), -1, np.int64), np.zeros(len(self.bad), np.int64)

    def several(self, keys: Iterable[int]) -> BoolArray:
        """Returns which messages hold more than one of some fields, bool `[N]`."""
        rounds = [message for key in keys for message, _, _ in self._found[key]]
        if not rounds or (len(rounds) == 1 and (rounds[0][1:] > rounds[0][:-1]).all()):
            return np.zeros(len(self.bad), bool)
        again: BoolArray = np.bincount(np.concatenate(rounds), minlength=len(self.bad)) > 1
        return again


def find_fields(
    buffer: Buffer, starts: IntArray, ends: IntArray, keys: Iterable[int], max_fields: int = 4096
) -> Fields:
    """Walks N messages of one kind.

    Args:
      buffer: Holds the messages.
      starts: First byte of each message, int64 `[N]`.
      ends: Byte after each message, int64 `[N]`.
      keys: Wanted fields, see `wire.key`.
      max_fields: A message with more fields is bad: a bound on the work that a hostile one makes.
    """
    found = Fields(len(starts), keys)
    message = np.flatnonzero(starts < ends)
    at, end = starts[message], ends[message]
    for _ in range(max_fields):
        if len(message) < _FEW:
            break
        key, body, size, after = _next_field(buffer, at)
        cut = after > end
        if _some(cut):
            found.bad[message[cut]] = True
            fine = ~cut
            key, message, end = key[fine], message[fine], end[fine]
            body, size, after = body[fine], size[fine], after[fine]
            if not len(message):
                break
        found.add(key, message, body, size)
        over = after == end
        if _some(over):
            going = ~over
            message, after, end = message[going], after[going], end[going]
        at = after
    for one in range(len(message)):
        _walk_one(buffer, found, int(message[one]), int(at[one]), int(end[one]), max_fields)
    return found


def find_repeated(
    buffer: Buffer, starts: IntArray, ends: IntArray, key: int, max_fields: int
) -> Fields:
    """Like `find_fields` for messages that hold one field of bytes many times and nothing else.

    Each field leads to the next one: all are taken for the wanted one, of a length of one or two
    bytes, and the keys are compared when all messages were followed to their ends.
    """
    rounds = _follow(buffer, starts, ends, max_fields)
    if rounds is None:
        return find_fields(buffer, starts, ends, (key,), max_fields)
    found = Fields(len(starts), (key,))
    if not rounds:
        return found
    message, at = _by_message(rounds)
    word = buffer.words(at)
    if _some(word & _OCTET != np.uint64(key)):
        return find_fields(buffer, starts, ends, (key,), max_fields)
    body, size, _ = _content(buffer, wire.BYTES, at + 1, word >> _U64[8])
    found.add(np.array([key], np.uint64), message, body, size)
    return found


def _follow(
    buffer: Buffer, starts: IntArray, ends: IntArray, max_fields: int
) -> list[tuple[IntArray, IntArray]] | None:
    """Returns message and position of fields whose lengths lead exactly to the messages' ends."""
    message = np.flatnonzero(starts < ends)
    at, end = starts[message], ends[message]
    rounds = list[tuple[IntArray, IntArray]]()
    while len(at):
        if len(rounds) == max_fields or (len(at) < _FEW and len(rounds) > _LONG):
            return None
        rounds.append((message, at))
        at = at + _STRIDES[buffer.shorts_behind(at)]
        over = at >= end
        if _some(over):
            if _some(at > end):
                return None
            going = ~over
            message, at, end = message[going], at[going], end[going]
    return rounds


def _by_message(rounds: Sequence[tuple[npt.NDArray[Any], ...]]) -> list[npt.NDArray[Any]]:
    """Joins the columns of rounds, of which the first is the message, in the messages' order."""
    columns = [np.concatenate(column) for column in zip(*rounds, strict=True)]
    if len(rounds) == 1:
        return columns
    width = len(rounds[0][0])
    table = columns[0].reshape(-1, width) if len(columns[0]) % width == 0 else columns[0]
    if table.ndim == 2 and len(table) == len(rounds) and (table == table[0]).all():
        return [column.reshape(-1, width).T.ravel() for column in columns]
    order = np.argsort(columns[0], kind="stable")
    return [column[order] for column in columns]


def _strides() -> IntArray:
    """Returns the sizes of fields of bytes by the two bytes behind their keys, int64 `[65536]`."""
    first, second = np.tile(np.arange(256), 256), np.repeat(np.arange(256), 256)
    short = np.where(first < 128, 2 + first, 3 + (first & 127) + (second << 7))
    strides: IntArray = np.where((first < 128) | (second < 128), short, _FAR)
    return strides


_STRIDES = _strides()


def _some(flags: npt.NDArray[Any]) -> bool:
    """Like `flags.any()` for at least one flag, in a fifth of its time for a few."""
    return bool(flags[flags.argmax()])


def _alike(numbers: UIntArray) -> bool:
    return not _some(numbers != numbers[0])


def _next_field(buffer: Buffer, at: IntArray) -> tuple[UIntArray, IntArray, UIntArray, IntArray]:
    """Returns key, position and size (or number) of the field at each offset, and what follows."""
    word = buffer.words(at)
    key = word & _OCTET
    if _alike(key) and key[0] < 128:
        return key, *_content(buffer, int(key[0]) & 7, at + 1, word >> _U64[8])
    if _some(key > _SEVEN_BITS):
        key, key_size = buffer.varints(at, word)
        start = np.minimum(at + key_size, len(buffer.data) - PADDING)  # a cut key points anywhere
        word = buffer.words(start) & _SEVEN_OCTETS
    else:
        start, word = at + 1, word >> _U64[8]
    wire_type = key.astype(np.uint8) & 7
    body, after = np.empty_like(at), np.empty_like(at)
    size = np.empty(len(at), np.uint64)
    for one in np.flatnonzero(np.bincount(wire_type)).tolist():
        which = np.flatnonzero(wire_type == one)
        body[which], size[which], after[which] = _content(buffer, one, start[which], word[which])
    return key, body, size, after


def _content(
    buffer: Buffer, wire_type: int, start: IntArray, word: UIntArray
) -> tuple[IntArray, UIntArray, IntArray]:
    """Like `_next_field` behind the keys, for fields of one wire type; `word` is what is there."""
    if wire_type in (wire.FIXED64, wire.FIXED32):
        width = 8 if wire_type == wire.FIXED64 else 4
        return start, np.full(len(start), width, np.uint64), start + width
    if wire_type not in (wire.VARINT, wire.BYTES):
        return start, np.zeros(len(start), np.uint64), np.full(len(start), _FAR)
    number, number_size = buffer.varints(start, word, valid=7)
    after = start + number_size
    if wire_type == wire.VARINT:
        return start, number, after
    length = np.minimum(number, np.uint64(_FAR)).view(np.int64)
    return after, number, after + length


def _walk_one(
    buffer: Buffer, found: Fields, message: int, at: int, end: int, max_fields: int
) -> None:
    walked: dict[int, list[tuple[int, int]]] = {key: [] for key in found.keys}
    try:
        for count, (key, body, size, _) in enumerate(wire.walk(buffer.data, at, end)):
            if count >= max_fields:
                raise wire.DecodeError("too many fields")
            if key in walked:
                walked[key].append((body, size))
    except wire.DecodeError:
        found.bad[message] = True
        return
    for key, fields in walked.items():
        if fields:
            position, length = (np.array(column, np.uint64) for column in zip(*fields, strict=True))
            number = np.full(len(fields), message)
            found.add(np.array([key], np.uint64), number, position.view(np.int64), length)
