"""TFRecord framing: windows of whole records with good checksums, from any offset on.

A record is its length (8 bytes), the length's masked CRC-32C (4), the payload, and the payload's
masked CRC-32C (4): https://github.com/tensorflow/tensorflow/blob/v2.15.0/tensorflow/core/lib/io/record_writer.h
"""

import dataclasses
import functools
import struct
from collections.abc import Sequence

import numpy as np

from bn_tb.events import combined_crc
from bn_tb.events.fields import PADDING, BoolArray, Buffer
from bn_tb.events.framing import frame, frame_each
from bn_tb.events.masked_crc import checksums, masked_crc, unmasked
from bn_tb.files.found import RangeFile
from bn_tb.runs.series import IntArray, distinct

HEADER_BYTES = 12  # length and its checksum
FOOTER_BYTES = 4  # checksum of the payload
LONGEST_RECORD = 64 << 20
"""Bytes of a record that is read; a graph of 100,000 nodes has 9 MB, and protobuf stops at 2 GB."""
WINDOW_BYTES = 8 << 20  # measured: smaller pays numpy's overhead, larger leaves the caches

_MANY = 1000  # records of a window, from which on they are verified together

_LENGTH = struct.Struct("<Q")


@dataclasses.dataclass(frozen=True)
class Problem:
    """What stopped the reading, or what had to be left out.

    Attributes:
      status: `truncated`, `corrupt` or `not_event_file`.
      offset: Byte of the file at which the record concerned starts; None if it is no matter of
        records.
      detail: What was found and what was expected.
      records: How many records have such a problem; the first one is told.
    """

    status: str
    offset: int | None
    detail: str
    records: int = 1

    def __str__(self) -> str:
        place = "" if self.offset is None else f"byte {self.offset}: "
        return f"{place}{self.detail}{f' ({self.records:,} in all)' if self.records > 1 else ''}"


@dataclasses.dataclass(frozen=True)
class Window:
    """Whole records that follow each other in a file.

    Attributes:
      buffer: The bytes.
      offset: Byte of the file at which the buffer starts.
      starts: First byte of each good payload in the buffer, int64 `[N]`.
      ends: Byte after each good payload, int64 `[N]`.
      records: Number of records, with those left out.
      next_offset: Byte of the file at which reading goes on.
      damage: First record left out for its payload checksum, or None.
      stop: Why nothing can be read from `next_offset` on (for now, if truncated), or None.
    """

    buffer: Buffer
    offset: int
    starts: IntArray
    ends: IntArray
    records: int
    next_offset: int
    damage: Problem | None = None
    stop: Problem | None = None


def read_window(file: RangeFile, offset: int, size: int) -> Window:
    """Reads the next records of a file.

    Args:
      file: Where the bytes are.
      offset: Where a record starts.
      size: Size of the file; nothing beyond it is asked for.
    """
    data = file.read(offset, min(WINDOW_BYTES, size - offset))
    starts = frame(data, len(data))
    if not len(starts) and len(data) >= HEADER_BYTES:
        length = _LENGTH.unpack_from(data)[0] + HEADER_BYTES + FOOTER_BYTES
        if length <= size - offset and _length_error(data, 0, offset) is None:
            if length > LONGEST_RECORD:
                return _skipped(offset, length)
            data = file.read(offset, length)  # one record beyond the window
            starts = frame(data, len(data))
    return _checked(data, starts, offset, size)


def window_of(data: bytes, ends: Sequence[int]) -> Window:
    """Returns the records of files that end at some bytes; `PADDING` more are behind the last.

    Where a file ends inside a record, its last bytes are in no record.
    """
    return _checked(data, frame_each(data, ends), 0, ends[-1])


def _skipped(offset: int, length: int) -> Window:
    """Returns a window without the record at an offset, of which nothing is read."""
    detail = f"a record of {length:,} bytes, more than {LONGEST_RECORD:,}; record left out"
    none, damage = np.zeros(0, np.int64), Problem("corrupt", offset, detail)
    return Window(Buffer(bytes(PADDING)), offset, none, none, 1, offset + length, damage)


def _checked(data: bytes, at: IntArray, offset: int, size: int) -> Window:
    used = len(data)
    buffer = Buffer(data + bytes(PADDING) if _needs_padding(data, at) else data)
    lengths = buffer.words(at).view(np.int64)
    good = _good_lengths(buffer, at, lengths)
    at, lengths = at[:good], lengths[:good]
    starts, ends = at + HEADER_BYTES, at + HEADER_BYTES + lengths
    after = int(ends[-1]) + FOOTER_BYTES if good else 0
    intact = _good_payloads(buffer, starts, ends)
    damage = None
    if not intact.all():
        damage = _payload_problem(buffer, offset, starts, ends, intact)
        starts, ends = starts[intact], ends[intact]
    stop = _stop(data[after : after + HEADER_BYTES], offset + after, size)
    if stop is None and after == 0 and used:
        stop = Problem("truncated", offset, "the file became shorter while it was read")
    return Window(buffer, offset, starts, ends, good, offset + after, damage, stop)


def _needs_padding(data: bytes, at: IntArray) -> bool:
    if not len(at):
        return True
    last = int(at[-1])
    length: int = _LENGTH.unpack_from(data, last)[0]
    return last + HEADER_BYTES + length + PADDING > len(data)


def _good_lengths(buffer: Buffer, at: IntArray, lengths: IntArray) -> int:
    """Returns how many records from the first on have the right checksum of their length."""
    stored = (buffer.words(at + 8) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    known = distinct(lengths)
    which = np.searchsorted(known, lengths)
    wanted = np.array([_length_crc(length) for length in known.tolist()], np.uint32)
    wrong = np.flatnonzero(wanted[which] != stored)
    return int(wrong[0]) if len(wrong) else len(at)


@functools.lru_cache(maxsize=1 << 16)
def _length_crc(length: int) -> int:
    return masked_crc(_LENGTH.pack(length))


def _good_payloads(buffer: Buffer, starts: IntArray, ends: IntArray) -> BoolArray:
    footers = (buffer.words(ends) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    together = len(starts) > _MANY and len(buffer.data) < 2 * WINDOW_BYTES
    if together and combined_crc.all_intact(buffer.data, ends - starts, footers):
        return np.ones(len(starts), bool)
    intact: BoolArray = checksums(buffer.data, starts, ends) == unmasked(footers)
    return intact


def _payload_problem(
    buffer: Buffer, offset: int, starts: IntArray, ends: IntArray, intact: BoolArray
) -> Problem:
    which = int(np.argmin(intact))
    start, end = int(starts[which]), int(ends[which])
    stored = int.from_bytes(buffer.data[end : end + FOOTER_BYTES], "little")
    want = masked_crc(buffer.data[start:end])
    detail = f"payload checksum is {stored:#010x}, expected {want:#010x}; record left out"
    at, count = offset + start - HEADER_BYTES, int(np.count_nonzero(~intact))
    return Problem("corrupt", at, detail, count)


def _length_error(header: bytes, at: int, offset: int) -> Problem | None:
    length, stored = struct.unpack_from("<QI", header, at)
    want = _length_crc(length)
    if stored == want:
        return None
    if offset == 0:
        return Problem("not_event_file", 0, "no TFRecord header; not an event file")
    detail = f"length checksum is {stored:#010x}, expected {want:#010x}; the rest was not read"
    return Problem("corrupt", offset, detail)


def _stop(header: bytes, offset: int, size: int) -> Problem | None:
    """Returns why the record at `offset` of the file cannot be read, or None if it can."""
    left = size - offset
    if left <= 0 or len(header) < HEADER_BYTES <= left:
        return None
    if left < HEADER_BYTES:
        return Problem("truncated", offset, f"file ends after {left} of 12 bytes of a header")
    if error := _length_error(header, 0, offset):
        return error
    length = _LENGTH.unpack_from(header)[0]
    if left >= length + HEADER_BYTES + FOOTER_BYTES:
        return None
    there = max(left - HEADER_BYTES, 0)
    return Problem("truncated", offset, f"file ends after {there} of {length} bytes of a record")
