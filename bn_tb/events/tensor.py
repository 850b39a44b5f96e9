"""TensorProto to numpy, for tensors as they come from untrusted files."""

import math

import numpy as np

from bn_tb.events import wire

_DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?",
    17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
"""tensorflow/core/framework/types.proto; bfloat16 (14) is handled below."""
FLOAT, DOUBLE, _BFLOAT16 = 1, 2, 14
_TYPED_FIELDS = {5: "<f4", 6: "<f8", 7: "<i8", 10: "<i8", 11: "<i8", 16: "<i8", 17: "<i8"}
_HALF_FIELD = 13  # bit patterns of float16 or bfloat16, one varint each
_MAX_ELEMENTS = 1 << 24  # elements; a histogram has about a hundred, a scalar one


def decode(message: bytes) -> np.ndarray:
    """Returns the numeric tensor of a TensorProto as float64, shaped as declared.

    A typed field with fewer elements than the shape repeats its last one, and one with none is
    all zero (tensorflow/core/framework/tensor.proto).

    Raises:
      wire.DecodeError: Not a numeric tensor, or shape and content disagree.
    """
    dtype, content, typed = 0, b"", []
    dims: tuple[int, ...] = ()
    for number, value in wire.fields(message):
        if number == 1 and isinstance(value, int):
            dtype = value
        elif number == 2 and isinstance(value, bytes):
            dims = shape(value)
        elif number == 4 and isinstance(value, bytes):
            content = value
        elif number in _TYPED_FIELDS or number == _HALF_FIELD:
            typed.append(_typed(number, value))
    size = math.prod(dims)
    if size > _MAX_ELEMENTS:
        raise wire.DecodeError(f"tensor of {size} elements")
    flat = _from_content(content, dtype) if content else _from_typed(typed, dtype, size)
    if flat.size != size:
        raise wire.DecodeError(f"tensor of shape {list(dims)} holds {flat.size} elements")
    return flat.reshape(dims)


def decode_strings(message: bytes) -> list[bytes]:
    """Returns the elements of a string tensor."""
    return [v for number, v in wire.fields(message) if number == 8 and isinstance(v, bytes)]


def shape(message: bytes) -> tuple[int, ...]:
    """Returns the sizes of a TensorShapeProto; raises wire.DecodeError for unknown ones."""
    sizes = []
    for number, dim in wire.fields(message):
        if number == 2 and isinstance(dim, bytes):
            size = [wire.signed(v) for k, v in wire.fields(dim) if k == 1 and isinstance(v, int)]
            sizes.append(size[-1] if size else 0)
    if any(size < 0 for size in sizes):
        raise wire.DecodeError(f"tensor of shape {sizes}")
    return tuple(sizes)


def _from_content(content: bytes, dtype: int) -> np.ndarray:
    if dtype == _BFLOAT16 and len(content) % 2 == 0:
        return _bfloat16(np.frombuffer(content, "<u2"))
    if dtype not in _DTYPES or len(content) % np.dtype(_DTYPES[dtype]).itemsize:
        raise wire.DecodeError(f"tensor of dtype {dtype} with {len(content)} bytes of content")
    return np.frombuffer(content, _DTYPES[dtype]).astype(np.float64)


def _from_typed(typed: list[np.ndarray], dtype: int, size: int) -> np.ndarray:
    if dtype not in _DTYPES and dtype != _BFLOAT16:
        raise wire.DecodeError(f"tensor of dtype {dtype}")
    values = np.concatenate([*typed, np.zeros(0)])
    given = values.size > 0  # a packed field may be there and empty
    if not given:
        values = np.zeros(1)
    if dtype == _BFLOAT16:
        values = _bfloat16(values.astype(np.uint16))
    elif _DTYPES[dtype] == "<f2":
        values = values.astype(np.uint16).view("<f2").astype(np.float64)
    if values.size < size:
        values = np.concatenate([values, np.full(size - values.size, values[-1])])
    return values if given or size else values[:0]


def _typed(number: int, value: int | float | bytes) -> np.ndarray:
    if isinstance(value, bytes):
        code = _TYPED_FIELDS.get(number, "")
        if code in ("<f4", "<f8"):
            if len(value) % np.dtype(code).itemsize:
                raise wire.DecodeError(f"packed field {number} of {len(value)} bytes")
            return np.frombuffer(value, code).astype(np.float64)
        return np.array([wire.signed(v) for v in wire.packed_varints(value)], np.float64)
    return np.array([wire.signed(value) if isinstance(value, int) else value], np.float64)


def _bfloat16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype("<u4") << 16).view("<f4").astype(np.float64)
