"""What every format gives: tensors by name, read when asked for, and numbers beside them."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.files.found import RangeFile

LARGEST_TENSOR = 1 << 24
"""Bytes of a tensor that is read whole; a million channels of float64 are half of that."""

MOST_TENSORS = 200_000
"""Tensors of one checkpoint; the largest public ones have some ten thousand."""

LARGEST_INDEX = 1 << 26
"""Bytes of what says where tensors lie: index, header or pickle; real ones have some million."""


_LARGEST_FILE = 1 << 62  # bytes; systems count in signed numbers of 64 bits


class CheckpointError(ValueError):
    """A file is no checkpoint that can be read; says why in one line, and what to do."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """A tensor where it lies.

    Attributes:
      dtype: Name as numpy has it, or `bfloat16`, `float8_e4m3fn`, `float8_e5m2`.
      shape: Sizes.
      read: Returns the bytes from an offset on, at most so many; offsets are those in the tensor.
      big_endian: Byte order.
    """

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[int, int], bytes]
    big_endian: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.size * item_size(self.dtype)

    def array(self) -> npt.NDArray[Any]:
        """Returns the values, in their shape; bfloat16 and float8 as float32, bit for bit equal.

        Raises:
          CheckpointError: It is larger than `LARGEST_TENSOR`, or the file ends before it.
          OSError: The file cannot be read.
        """
        return _decoded(self._bytes(self.nbytes), self).reshape(self.shape)

    def start(self, most: int) -> npt.NDArray[Any]:
        """Returns the first elements, at most `most`: enough to see whether a weight changed."""
        return _decoded(self._bytes(min(most * item_size(self.dtype), self.nbytes)), self)

    def whole(self) -> bytes:
        """Returns all bytes; raises as `array` does."""
        return self._bytes(self.nbytes)

    def _bytes(self, length: int) -> bytes:
        if length > LARGEST_TENSOR:
            raise CheckpointError(f"tensor of {length} bytes where channels are expected")
        data = self.read(0, length)
        if len(data) != length:
            raise CheckpointError(f"tensor of {length} bytes, of which the file holds {len(data)}")
        return data


@dataclasses.dataclass(frozen=True)
class Contents:
    """What the index of a checkpoint tells.

    Attributes:
      format: Its name for people, such as `TensorFlow V2`.
      tensors: Tensors by the names people know.
      numbers: Numbers beside them by name: steps, iterations, epochs.
      optimizer_steps: Most steps that an optimizer made for any parameter, or None.
      graphs: Kind and bytes of a graph or configuration inside, as `GraphSource` has them.
      remark: What could not be read of it, in one line, or an empty string.
    """

    format: str
    tensors: Mapping[str, Stored] = dataclasses.field(default_factory=dict)
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    optimizer_steps: int | None = None
    graphs: tuple[tuple[str, bytes], ...] = ()
    remark: str = ""

    def with_part(self, other: "Contents") -> "Contents":
        """Returns this together with another file of the same checkpoint."""
        steps = [one for one in (self.optimizer_steps, other.optimizer_steps) if one is not None]
        return dataclasses.replace(
            self,
            tensors={**self.tensors, **other.tensors},
            numbers={**self.numbers, **other.numbers},
            optimizer_steps=max(steps, default=None),
            graphs=self.graphs or other.graphs,
            remark=self.remark or other.remark,
        )


_PLAIN = frozenset(
    (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
)
_WIDENED = {"bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}


def is_known(dtype: str) -> bool:
    """Returns whether values of a type can be decoded."""
    return dtype in _PLAIN or dtype in _WIDENED


def item_size(dtype: str) -> int:
    """Returns the bytes of one element.

    Raises:
      CheckpointError: Nobody knows the type.
    """
    if dtype in _WIDENED:
        return _WIDENED[dtype]
    if dtype not in _PLAIN:
        raise CheckpointError(f"tensor of type {dtype[:40]!r}")
    return np.dtype(dtype).itemsize


def exactly(file: RangeFile, offset: int, length: int, what: str) -> bytes:
    """Returns a range of a file.

    Args:
      file: Open file.
      offset: Where it begins.
      length: Bytes.
      what: What lies there, for the message.

    Raises:
      CheckpointError: The file ends before its end, or it is larger than any index.
      OSError: The file cannot be read.
    """
    inside = 0 <= offset < _LARGEST_FILE and length >= 0
    if inside and LARGEST_INDEX < length <= file.size - offset:
        raise CheckpointError(f"{what} of {length} bytes; at most {LARGEST_INDEX} are read")
    data = file.read(offset, length) if inside and length <= LARGEST_INDEX else b""
    if not inside or len(data) != length:
        raise CheckpointError(
            f"{what}: bytes {offset} to {offset + length} of a file of {file.size}: it is cut off "
            "or damaged; copy it again"
        )
    return data


def slice_of(file: RangeFile, start: int, length: int) -> Callable[[int, int], bytes]:
    """Returns what reads a tensor that lies at `start` of a file in one piece."""

    def read(offset: int, most: int) -> bytes:
        return file.read(start + offset, max(min(most, length - offset), 0))

    return read


def _decoded(data: bytes, stored: Stored) -> npt.NDArray[Any]:
    if stored.dtype == "bfloat16":  # the upper half of a float32
        bits = np.frombuffer(data, ">u2" if stored.big_endian else "<u2")
        return (bits.astype(np.uint32) << 16).view(np.float32)
    if stored.dtype == "float8_e5m2":  # the upper half of a float16
        bits = np.frombuffer(data, np.uint8)
        return (bits.astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    if stored.dtype == "float8_e4m3fn":
        return np.asarray(_E4M3FN[np.frombuffer(data, np.uint8)])
    dtype = np.dtype(stored.dtype)
    return np.frombuffer(data, dtype.newbyteorder(">" if stored.big_endian else "<"))


def _e4m3fn(code: int) -> float:
    """Returns a float8 of 4 exponent bits, bias 7, without infinities (arXiv:2209.05433)."""
    sign = -1.0 if code & 128 else 1.0
    exponent, fraction = code >> 3 & 15, code & 7
    if exponent == 15 and fraction == 7:
        return sign * math.nan
    if exponent == 0:
        return sign * fraction * 2.0**-9
    return sign * (8 + fraction) * 2.0 ** (exponent - 10)


_E4M3FN = np.array([_e4m3fn(code) for code in range(256)], np.float32)
