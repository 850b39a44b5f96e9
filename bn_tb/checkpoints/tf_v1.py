"""TensorFlow's V1 checkpoints: one sorted-string table that holds the tensors too.

https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/util/saved_tensor_slice.proto
"""

import dataclasses

from bn_tb.checkpoints import tf_slices
from bn_tb.checkpoints.contents import MOST_TENSORS, CheckpointError, Contents, Stored
from bn_tb.checkpoints.sorted_table import SortedTable
from bn_tb.checkpoints.tf_bundle import slice_key
from bn_tb.events import wire
from bn_tb.files.found import RangeFile

_TYPED = {"float32": 5, "float64": 6, "int32": 7, "int64": 10, "bool": 11}
"""Fields of TensorProto that hold values; V1 knows no other numbers of interest."""


@dataclasses.dataclass(frozen=True)
class _Meta:
    """A SavedSliceMeta: name, type, shape and slices of one tensor."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    slices: tuple[tf_slices.Extent, ...]


def read(file: RangeFile) -> Contents:
    """Returns what a V1 checkpoint holds.

    Args:
      file: The only file, of which the blocks of tensors are read when asked for.

    Raises:
      CheckpointError: It is none, or damaged.
      OSError: It cannot be read.
    """
    table = SortedTable(file)
    key, value = next(table.starting_with(b""), (b"?", b""))
    if key:
        raise CheckpointError("a table, but no TensorFlow checkpoint: it does not list tensors")
    try:
        metas = _metas(value)
    except wire.DecodeError as error:
        raise CheckpointError(f"its list of tensors does not decode: {error}") from None
    tensors = dict[str, Stored]()
    for meta in metas:
        dtype = tf_slices.DTYPES.get(meta.dtype)
        if dtype in _TYPED:
            tensors[meta.name] = _tensor(table, meta, dtype)
    return Contents("TensorFlow V1", tensors)


def _metas(value: bytes) -> list[_Meta]:
    found = list[_Meta]()
    for number, message in wire.fields(value):
        if number != 1 or not isinstance(message, bytes):
            continue
        for field, tensor in wire.fields(message):
            if field == 1 and isinstance(tensor, bytes):
                found.append(_meta(tensor))
            if len(found) > MOST_TENSORS:
                raise CheckpointError(f"more than {MOST_TENSORS} tensors")
    return found


def _meta(message: bytes) -> _Meta:
    name, dtype, slices = "", 0, list[tf_slices.Extent]()
    shape: tuple[int, ...] = ()
    for number, value in wire.fields(message):
        if number == 3 and isinstance(value, int):
            dtype = value
        elif number == 1 and isinstance(value, bytes):
            name = value.decode("utf-8", "replace")
        elif number == 2 and isinstance(value, bytes):
            shape = tf_slices.shape(value)
        elif number == 4 and isinstance(value, bytes):
            slices.append(tf_slices.extent(value))
    return _Meta(name, dtype, shape, tuple(slices))


def _tensor(table: SortedTable, meta: _Meta, dtype: str) -> Stored:
    parts = list[tuple[tf_slices.Extent, Stored]]()
    for place in meta.slices:
        lengths = [
            size if length < 0 else length
            for (_, length), size in zip(place, meta.shape, strict=False)
        ]
        parts.append((place, _slice(table, meta, place, dtype, tuple(lengths))))
    return tf_slices.joined(dtype, meta.shape, parts)


def _slice(
    table: SortedTable,
    meta: _Meta,
    place: tf_slices.Extent,
    dtype: str,
    shape: tuple[int, ...],
) -> Stored:
    def read(offset: int, most: int) -> bytes:
        for _, value in table.starting_with(slice_key(meta.name, place)):
            return _values(value, dtype)[offset : offset + most]
        raise CheckpointError(f"{meta.name[:80]}: listed, and not there")

    return Stored(dtype, shape, read)


def _values(value: bytes, dtype: str) -> bytes:
    """Returns the values of a SavedTensorSlices as bytes."""
    try:
        data = _field(_field(value, 2), 3)
        return _plain(_field(data, _TYPED[dtype]), dtype)
    except wire.DecodeError as error:
        raise CheckpointError(f"a tensor does not decode: {error}") from None


def _plain(packed: bytes, dtype: str) -> bytes:
    if dtype in ("float32", "float64"):
        return packed
    size = {"int32": 4, "int64": 8, "bool": 1}[dtype]
    numbers = wire.packed_varints(packed)
    return b"".join((number & (1 << 8 * size) - 1).to_bytes(size, "little") for number in numbers)


def _field(message: bytes, wanted: int) -> bytes:
    """Returns a field of bytes, the last one as protobuf says, empty if it is not there."""
    found = b""
    for number, value in wire.fields(message):
        if number == wanted and isinstance(value, bytes):
            found = value
    return found
