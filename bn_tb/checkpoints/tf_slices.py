"""What both TensorFlow formats share: types by number, shapes, slices of partitioned tensors."""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from bn_tb.checkpoints.contents import LARGEST_TENSOR, CheckpointError, Stored, item_size
from bn_tb.events import wire

DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 8: "complex64",
    9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128", 19: "float16",
    22: "uint32", 23: "uint64", 24: "float8_e5m2", 25: "float8_e4m3fn",
}  # fmt: skip
"""tensorflow/core/framework/types.proto; strings, resources and quantised types are left out."""

_MOST_DIMS = 254  # tensorflow/core/framework/tensor_shape.h

Extent = tuple[tuple[int, int], ...]
"""Start and length in each dimension; a length of -1 is all of it."""


@functools.lru_cache(1 << 12)  # a network has few shapes, and its optimizer has them again
def shape(message: bytes) -> tuple[int, ...]:
    """Returns the sizes of a TensorShapeProto.

    Raises:
      wire.DecodeError: It is none, or has too many dimensions.
    """
    sizes = list[int]()
    for number, dim in wire.fields(message):
        if number == 2 and isinstance(dim, bytes):
            sizes.append(_numbers(dim).get(1, 0))
    if len(sizes) > _MOST_DIMS or any(size < 0 for size in sizes):
        raise wire.DecodeError(f"shape of {len(sizes)} dimensions")
    return tuple(sizes)


def extent(message: bytes) -> Extent:
    """Returns what a TensorSliceProto selects.

    Raises:
      wire.DecodeError: It is none.
    """
    found = list[tuple[int, int]]()
    for number, part in wire.fields(message):
        if number == 1 and isinstance(part, bytes):
            values = _numbers(part)
            found.append((values.get(1, 0), values.get(2, -1)))
    return tuple(found)


def joined(
    dtype: str, sizes: tuple[int, ...], parts: Sequence[tuple[Extent, Stored]], big: bool = False
) -> Stored:
    """Returns a partitioned tensor as one; its slices are put together when it is read."""
    whole = [stored for place, stored in parts if _full(place, sizes) == _full((), sizes)]
    if whole:
        return whole[0]

    def read(offset: int, most: int) -> bytes:
        return _put_together(dtype, sizes, parts).tobytes()[offset : offset + most]

    return Stored(dtype, sizes, read, big)


def _put_together(
    dtype: str, sizes: tuple[int, ...], parts: Sequence[tuple[Extent, Stored]]
) -> np.ndarray:
    if math.prod(sizes) * item_size(dtype) > LARGEST_TENSOR:
        raise CheckpointError(f"partitioned tensor of shape {list(sizes)}")
    result = np.zeros(sizes, _raw(dtype))
    covered = 0
    for place, stored in parts:
        full = _full(place, sizes)
        lengths = tuple(length for _, length in full)
        if stored.size != math.prod(lengths):
            raise CheckpointError("a slice of a partitioned tensor has another size than it says")
        at = tuple(slice(start, start + length) for start, length in full)
        data = np.frombuffer(stored.whole(), _raw(dtype))
        result[at] = data.reshape(lengths)
        covered += data.size
    if covered != result.size:
        raise CheckpointError("slices of a partitioned tensor are missing")
    return result


def _raw(dtype: str) -> str:
    return f"V{item_size(dtype)}"


def _full(place: Extent, sizes: tuple[int, ...]) -> Extent:
    full = list[tuple[int, int]]()
    for (start, length), size in itertools.zip_longest(place, sizes, fillvalue=(0, -1)):
        if not isinstance(size, int):
            raise CheckpointError("a slice of more dimensions than its tensor")
        start, length = (0, size) if length < 0 else (start, length)
        if start < 0 or start + length > size:
            raise CheckpointError("a slice that lies outside of its tensor")
        full.append((start, length))
    return tuple(full)


def _numbers(message: bytes) -> dict[int, int]:
    return {k: wire.signed(v) for k, v in wire.fields(message) if isinstance(v, int)}
