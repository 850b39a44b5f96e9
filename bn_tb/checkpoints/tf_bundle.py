"""TensorFlow's V2 checkpoints: an index of entries, and data files with the tensors' bytes.

https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/protobuf/tensor_bundle.proto
"""

import dataclasses
from collections.abc import Callable, Mapping

from bn_tb.checkpoints import tf_objects, tf_slices
from bn_tb.checkpoints.contents import (
    LARGEST_INDEX,
    LARGEST_TENSOR,
    MOST_TENSORS,
    CheckpointError,
    Contents,
    Stored,
    exactly,
)
from bn_tb.checkpoints.sorted_table import SortedTable
from bn_tb.events import wire
from bn_tb.events.masked_crc import masked_crc
from bn_tb.files.found import RangeFile

Shards = Callable[[int, int], RangeFile]
"""Opens data file `i` of `n`; what it opened stays open as long as the contents are read."""


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A BundleEntryProto: where a tensor lies, or of which slices it consists."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int | None = None
    slices: tuple[tf_slices.Extent, ...] = ()


def read(index: RangeFile, shards: Shards) -> Contents:
    """Returns what a V2 checkpoint holds.

    Args:
      index: The `.index` file, which is read whole.
      shards: Opens its data files.

    Raises:
      CheckpointError: It is none, damaged, or too large.
      OSError: The index cannot be read.
    """
    if index.size > LARGEST_INDEX:
        raise CheckpointError(f"an index of {index.size} bytes; at most {LARGEST_INDEX} are read")
    entries, slices, count = _entries(SortedTable(index))
    bundle = _Bundle(slices, shards, count)
    objects = entries.pop(tf_objects.KEY, None)
    tensors = {
        name: tensor for name, entry in entries.items() if (tensor := bundle.tensor(name, entry))
    }
    if objects is None:
        return Contents("TensorFlow V2", tensors)
    try:
        names = tf_objects.names(bundle.text(objects))
    except CheckpointError as error:
        return Contents("TensorFlow V2", tf_objects.renamed(tensors, {}), remark=str(error))
    return Contents("TensorFlow V2 (objects)", tf_objects.renamed(tensors, names))


def _entries(table: SortedTable) -> tuple[dict[str, _Entry], dict[bytes, _Entry], int]:
    """Returns tensors by name, slices of partitioned ones by key, and the number of data files."""
    entries, slices, count = dict[str, _Entry](), dict[bytes, _Entry](), 1
    for key, value in table:
        try:
            if not key:
                count = _shards_of(value)
            elif key.startswith(b"\0"):
                slices[key] = _entry(value)
            else:
                entries[key.decode("utf-8", "replace")] = _entry(value)
        except wire.DecodeError as error:
            raise CheckpointError(f"entry {key[:80]!r} does not decode: {error}") from None
        if len(entries) + len(slices) > MOST_TENSORS:
            raise CheckpointError(f"more than {MOST_TENSORS} entries")
    return entries, slices, count


@dataclasses.dataclass(frozen=True)
class _Bundle:
    slices: Mapping[bytes, _Entry]
    shards: Shards
    count: int

    def tensor(self, name: str, entry: _Entry) -> Stored | None:
        """Returns a tensor, or None for one without numbers (strings, variants)."""
        dtype = tf_slices.DTYPES.get(entry.dtype)
        if dtype is None:
            return None
        if not entry.slices:
            return self._stored(dtype, entry.shape, entry)
        parts = list[tuple[tf_slices.Extent, Stored]]()
        for place in entry.slices:
            own = self.slices.get(slice_key(name, place))
            if own is not None:
                parts.append((place, self._stored(dtype, own.shape, own)))
        return tf_slices.joined(dtype, entry.shape, parts)

    def text(self, entry: _Entry) -> bytes:
        """Returns the only element of a string tensor: its length, a checksum, its bytes."""
        data = self._read(entry, 0, entry.size)
        try:
            length, at = wire.varint(data, 0, len(data))
        except wire.DecodeError:
            length, at = -1, 0
        if length != len(data) - at - 4:
            raise CheckpointError("the object graph is damaged; names are paths of objects")
        return data[at + 4 :]

    def _stored(self, dtype: str, shape: tuple[int, ...], entry: _Entry) -> Stored:
        def read(offset: int, most: int) -> bytes:
            if entry.size != stored.nbytes:
                raise CheckpointError(f"a tensor of {stored.nbytes} bytes that says {entry.size}")
            return self._read(entry, offset, most)

        stored = Stored(dtype, shape, read)
        return stored

    def _read(self, entry: _Entry, offset: int, most: int) -> bytes:
        if not 0 <= entry.shard < self.count:
            raise CheckpointError(f"a tensor in data file {entry.shard} of {self.count}")
        most = max(min(most, entry.size - offset), 0)
        file = self.shards(entry.shard, self.count)
        limit = LARGEST_INDEX if entry.dtype == 7 else LARGEST_TENSOR
        if most > limit:
            raise CheckpointError(f"a tensor of {entry.size} bytes")
        data = exactly(file, entry.offset + offset, most, "tensor in the data file")
        if len(data) == entry.size and not _checks(entry, data):
            raise CheckpointError(
                f"tensor at byte {entry.offset} of data file {entry.shard}: its checksum is wrong;"
                " copy the file again"
            )
        return data


def _checks(entry: _Entry, data: bytes) -> bool:
    if entry.checksum is None or entry.dtype == 7:  # of strings it is another sum
        return True
    return masked_crc(data) == entry.checksum


def _shards_of(header: bytes) -> int:
    values = {number: value for number, value in wire.fields(header) if isinstance(value, int)}
    if values.get(2, 0):
        raise CheckpointError("written on a big-endian machine, which is not supported")
    return values.get(1, 1)


def _entry(message: bytes) -> _Entry:
    numbers, slices = dict[int, int](), list[tf_slices.Extent]()
    shape: tuple[int, ...] = ()
    for key, at, size, _ in wire.walk(message, 0, len(message)):
        number, kind = key >> 3, key & 7
        if kind == wire.VARINT:
            numbers[number] = size
        elif number == 2 and kind == wire.BYTES:
            shape = tf_slices.shape(message[at : at + size])
        elif number == 6 and kind == wire.FIXED32:
            numbers[number] = int.from_bytes(message[at : at + 4], "little")
        elif number == 7 and kind == wire.BYTES:
            slices.append(tf_slices.extent(message[at : at + size]))
    return _Entry(
        dtype=numbers.get(1, 0),
        shape=shape,
        shard=numbers.get(3, 0),
        offset=numbers.get(4, 0),
        size=numbers.get(5, 0),
        checksum=numbers.get(6),
        slices=tuple(slices),
    )


def slice_key(name: str, place: tf_slices.Extent) -> bytes:
    """Returns the key of a slice, in TensorFlow's order-preserving code.

    tensorflow/core/util/saved_tensor_slice_util.cc, EncodeTensorNameSlice; tensorflow/core/lib/
    strings/ordered_code.cc.
    """
    text = name.encode("utf-8").replace(b"\xff", b"\xff\x00").replace(b"\0", b"\0\xff")
    numbers = [signed_number(number) for pair in place for number in pair]
    return b"\0" + text + b"\0\1" + _number(len(place)) + b"".join(numbers)


def _number(value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(data)]) + data


def signed_number(value: int) -> bytes:
    """Returns a signed number in that code: leading ones count its bytes, 7 bits each."""
    size = 1
    while not -(1 << 7 * size - 1) <= value < 1 << 7 * size - 1:
        size += 1
    bits = value & (1 << 8 * size) - 1
    header = ((1 << size) - 1) << 8 * size - size if value >= 0 else 0
    if value < 0:
        bits &= (1 << 8 * size - size) - 1
        return bits.to_bytes(size, "big")
    return (bits | header).to_bytes(size, "big")
