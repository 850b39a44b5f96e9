"""What a PyTorch pickle says of tensors: which storage, where in it, which shape."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bn_tb.checkpoints.contents import LARGEST_TENSOR, CheckpointError, Stored, item_size
from bn_tb.checkpoints.pickle_stack import Global, Inert

_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "UntypedStorage": "uint8", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}  # fmt: skip
_DTYPES = {"float": "float32", "double": "float64", "half": "float16", "long": "int64"}
_REBUILT = {"_rebuild_tensor": 4, "_rebuild_tensor_v2": 4, "_rebuild_tensor_v3": 7}
_PASSED_ON = ("_rebuild_parameter", "_rebuild_parameter_with_state")


@dataclasses.dataclass(frozen=True)
class Storage:
    """A flat array outside of the pickle.

    Attributes:
      key: Its name in the file.
      dtype: Type of its elements.
      numel: Number of its elements, as the pickle says.
    """

    key: str
    dtype: str
    numel: int


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage; sizes and strides in elements."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def stored(self, locate: "Locate", big_endian: bool) -> Stored:
        """Returns it as what every format gives; of a transposed one its bytes as they are shown.

        Args:
          locate: Returns what reads from an offset in a storage.
          big_endian: Byte order of the file.
        """

        def read(offset: int, most: int) -> bytes:
            if self._in_order():
                return locate(self.storage)(self.offset * item_size(self.dtype) + offset, most)
            return self._rearranged(locate(self.storage))[offset : offset + most]

        return Stored(self.dtype, self.shape, read, big_endian)

    def _in_order(self) -> bool:
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size > 1 and stride != step:
                return False
            step *= size
        return True

    def _rearranged(self, read: Callable[[int, int], bytes]) -> bytes:
        item = item_size(self.dtype)
        reach = sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        length = (reach + 1) * item
        if length > LARGEST_TENSOR or math.prod(self.shape) * item > LARGEST_TENSOR:
            raise CheckpointError(f"transposed tensor of shape {list(self.shape)}")
        data = read(self.offset * item, length)
        if len(data) < length:
            raise CheckpointError("a tensor that reaches beyond its storage")
        flat = np.frombuffer(data, f"V{item}")
        steps = [step * item for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps).tobytes()


Locate = Callable[[Storage], Callable[[int, int], bytes]]
"""Returns what reads from an offset in a storage, at most so many bytes."""


def storage_of(identifier: Any) -> Any:
    """Returns what a persistent identifier stands for.

    `('storage', class, key, location, numel)`, in old files with a view of another storage after
    it; `('module', class, source file, source)` for classes of pickled modules.
    """
    parts = identifier if isinstance(identifier, tuple) else ()
    if len(parts) >= 2 and parts[0] == "module":
        return parts[1]
    named = len(parts) >= 5 and parts[0] == "storage" and isinstance(parts[2], str | int)
    if not named or not _is_size(parts[4]):
        raise CheckpointError("a storage that is not described as PyTorch does")
    kind = parts[1].name if isinstance(parts[1], Global) else ""
    return Storage(str(parts[2]), _STORAGES.get(kind, kind), parts[4])


def build(kind: Global, args: tuple[Any, ...]) -> Any:
    """Returns the tensor or number that a call stands for, see `pickle_stack.Build`."""
    if kind.module.startswith("torch._utils") and kind.name in _REBUILT:
        return _tensor(args) if len(args) >= _REBUILT[kind.name] else NotImplemented
    if kind.module.startswith("torch._utils") and kind.name in _PASSED_ON and args:
        return args[0]
    if kind.name == "_rebuild_from_type_v2" and len(args) > 2 and isinstance(args[0], Global):
        return build(args[0], args[2]) if isinstance(args[2], tuple) else NotImplemented
    if kind.name == "scalar" and kind.module.startswith("numpy") and len(args) == 2:
        return _scalar(args[0], args[1])
    return NotImplemented


def _tensor(args: tuple[Any, ...]) -> Any:
    storage, offset, shape, strides = args[:4]
    if not isinstance(storage, Storage) or not _is_size(offset):
        return NotImplemented
    shape, strides = _sizes(shape), _sizes(strides)
    if shape is None or strides is None or len(shape) != len(strides):
        return NotImplemented
    dtype = storage.dtype
    if len(args) == 7 and isinstance(args[6], Global):
        dtype = _DTYPES.get(args[6].name, args[6].name)
    return Tensor(storage, dtype, offset, shape, strides)


def _sizes(value: Any) -> tuple[int, ...] | None:
    if type(value) is not tuple:  # what PyTorch writes; lists stand for torch.Size
        value = tuple(value) if isinstance(value, list) else (None,)
    for size in value:
        if not _is_size(size):
            return None
    return tuple(value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 48


def _scalar(dtype: Any, data: Any) -> Any:
    """Returns a number that numpy pickled, such as the best accuracy."""
    code = dtype.args[0] if isinstance(dtype, Inert) and dtype.args else ""
    if code not in ("f4", "f8", "i4", "i8", "u4", "u8") or not isinstance(data, bytes):
        return NotImplemented
    return np.frombuffer(data, f"<{code}")[0].item() if len(data) == int(code[1]) else None
