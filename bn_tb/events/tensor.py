"""TensorProto to numpy, for tensors as they come from untrusted files."""

import math
from typing import Any

import numpy as np

from bn_tb.events import protos, wire

_DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?",
    17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
"""tensorflow/core/framework/types.proto; bfloat16 (14) is handled below."""
FLOAT, DOUBLE, _BFLOAT16 = 1, 2, 14
_TYPED_FIELDS = {
    **dict.fromkeys((3, 4, 5, 6, 17), "int_val"),
    **{1: "float_val", 2: "double_val", 9: "int64_val", 10: "bool_val", 14: "half_val"},
    **{19: "half_val", 22: "uint32_val", 23: "uint64_val"},
}
"""Where the elements of a dtype are if there is no content; half_val has bit patterns."""
_MAX_DIMS = 8  # a histogram has two
_MOST_REPEATED = 1 << 10  # elements that a typed value may stand for; a histogram has a hundred
_MOST_STRINGS = 64  # graphs or models in one tensor; writers put one


def decode(message: bytes) -> np.ndarray:
    """Returns the numeric tensor of a TensorProto as float64, shaped as declared.

    Content goes before typed values. A typed field with fewer elements than the shape repeats its
    last one, and one with none is all zero (tensorflow/core/framework/tensor.proto).

    Raises:
      wire.DecodeError: Not a numeric tensor, or shape and content disagree.
    """
    proto = protos.parse("Tensor", message)
    if len(proto.shape.dim) > _MAX_DIMS:
        raise wire.DecodeError(f"tensor of {len(proto.shape.dim)} dimensions")
    dims = tuple(dim.size for dim in proto.shape.dim)
    if min(dims, default=0) < 0:
        raise wire.DecodeError(f"tensor of shape {list(dims)}")
    size = math.prod(dims)
    flat = _from_content(proto.content, proto.dtype) if proto.content else _from_typed(proto, size)
    if flat.size != size:
        raise wire.DecodeError(f"tensor of shape {list(dims)} holds {flat.size} elements")
    return flat.reshape(dims)


def decode_strings(message: bytes) -> list[bytes]:
    """Returns the first elements of a string tensor; raises wire.DecodeError if it is none."""
    try:
        return [
            v
            for number, v in wire.fields(message, wire.FEW)
            if number == 8 and isinstance(v, bytes)
        ]
    except wire.DecodeError:
        if len(message) > protos.LARGEST:
            raise
        return list(protos.parse("Tensor", message).string_val[:_MOST_STRINGS])


def shape(message: bytes) -> tuple[int, ...]:
    """Returns the sizes of a TensorShapeProto; raises wire.DecodeError for unusual ones."""
    sizes = []
    for number, dim in wire.fields(message, _MAX_DIMS):
        if number == 2 and isinstance(dim, bytes):
            size = [
                wire.signed(v)
                for k, v in wire.fields(dim, wire.FEW)
                if k == 1 and isinstance(v, int)
            ]
            sizes.append(size[-1] if size else 0)
    return tuple(sizes)


def _from_content(content: bytes, dtype: int) -> np.ndarray:
    if dtype == _BFLOAT16 and len(content) % 2 == 0:
        return _bfloat16(np.frombuffer(content, "<u2"))
    if dtype not in _DTYPES or len(content) % np.dtype(_DTYPES[dtype]).itemsize:
        raise wire.DecodeError(f"tensor of dtype {dtype} with {len(content)} bytes of content")
    return np.frombuffer(content, _DTYPES[dtype]).astype(np.float64)


def _from_typed(proto: Any, size: int) -> np.ndarray:
    dtype = proto.dtype
    if dtype not in _TYPED_FIELDS:
        raise wire.DecodeError(f"tensor of dtype {dtype}")
    written = getattr(proto, _TYPED_FIELDS[dtype])
    if size > len(written) + _MOST_REPEATED:
        raise wire.DecodeError(f"tensor of {size} elements holds {len(written)}")
    values = np.array(written, np.float64)
    if dtype == _BFLOAT16:
        values = _bfloat16(values.astype(np.int64).astype(np.uint16))
    elif _DTYPES[dtype] == "<f2":
        values = values.astype(np.int64).astype(np.uint16).view("<f2").astype(np.float64)
    last = values[-1] if values.size else 0.0
    return np.concatenate([values, np.full(max(size - values.size, 0), last)])


def _bfloat16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype("<u4") << 16).view("<f4").astype(np.float64)
