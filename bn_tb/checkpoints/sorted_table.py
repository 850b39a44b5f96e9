"""Sorted-string tables as LevelDB defines them, which TensorFlow keeps its checkpoints in.

https://github.com/google/leveldb/blob/1.23/doc/table_format.md; of TensorFlow's own copy differ
only the size of blocks and their compression.
"""

import bisect
import struct
from collections.abc import Iterator

from bn_tb.checkpoints.contents import CheckpointError, exactly
from bn_tb.events import wire
from bn_tb.events.masked_crc import masked_crc
from bn_tb.files.found import RangeFile

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48  # bytes: two block handles, padding, the magic number
_TRAILER = 5  # bytes after each block: compression, masked CRC-32C
_SNAPPY = 1

Entry = tuple[bytes, bytes]
Handle = tuple[int, int]  # offset and size of a block


def is_table(file: RangeFile) -> bool:
    """Returns whether a file ends as a table does."""
    return file.size >= _FOOTER and file.read(file.size - 8, 8) == _MAGIC


class SortedTable:
    """A table of which blocks are read when asked for; the last one read is kept."""

    def __init__(self, file: RangeFile) -> None:
        """Reads footer and index.

        Raises:
          CheckpointError: It is no table, or damaged.
          OSError: It cannot be read.
        """
        if not is_table(file):
            raise CheckpointError(
                "it does not end as a TensorFlow index does: cut off or damaged; copy it again"
            )
        self._file = file
        footer = exactly(file, file.size - _FOOTER, _FOOTER, "footer of the table")
        _, at = _handle(footer, 0)
        index, _ = _handle(footer, at)
        entries = list(self._entries(index))
        self._last_keys = [key for key, _ in entries]
        self._handles = [_handle(value, 0)[0] for _, value in entries]
        self._read: tuple[Handle, list[Entry]] = ((-1, -1), [])

    def __iter__(self) -> Iterator[Entry]:
        """Yields all keys with their values, in the order of the keys."""
        for handle in self._handles:
            yield from self._entries(handle)

    def starting_with(self, prefix: bytes) -> Iterator[Entry]:
        """Yields the entries whose keys start with `prefix`."""
        for handle in self._handles[bisect.bisect_left(self._last_keys, prefix) :]:
            if self._read[0] != handle:
                self._read = handle, list(self._entries(handle))
            entries = self._read[1]
            for key, value in entries[bisect.bisect_left(entries, (prefix, b"")) :]:
                if not key.startswith(prefix):
                    return
                yield key, value

    def _entries(self, handle: Handle) -> Iterator[Entry]:
        offset, size = handle
        block = exactly(self._file, offset, size + _TRAILER, "block of the table")
        kind, (checksum,) = block[size], struct.unpack_from("<I", block, size + 1)
        if masked_crc(block[: size + 1]) != checksum:
            raise CheckpointError(f"block at byte {offset}: its checksum is wrong; copy it again")
        if kind == _SNAPPY:
            raise CheckpointError(
                f"block at byte {offset} is compressed with Snappy, which is not supported; save "
                "the model again with tf.train.Saver"
            )
        if kind or size < 4:
            raise CheckpointError(f"block at byte {offset} of unknown kind {kind}")
        restarts = struct.unpack_from("<I", block, size - 4)[0]
        try:
            yield from _unpacked(block, size - 4 - 4 * restarts)
        except (wire.DecodeError, IndexError):
            raise CheckpointError(f"block at byte {offset} does not decode") from None


def _unpacked(block: bytes, end: int) -> Iterator[Entry]:
    """Yields the entries of a block: each key says how much it shares with the one before."""
    at, key = 0, b""
    while at < end:
        shared, at = wire.varint(block, at, end)
        fresh, at = wire.varint(block, at, end)
        length, at = wire.varint(block, at, end)
        if shared > len(key) or at + fresh + length > end:
            raise wire.DecodeError("an entry that is longer than its block")
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _handle(data: bytes, at: int) -> tuple[Handle, int]:
    try:
        offset, at = wire.varint(data, at, len(data))
        size, at = wire.varint(data, at, len(data))
    except wire.DecodeError:
        raise CheckpointError("a block of the table lies nowhere; copy the file again") from None
    return (offset, size), at
