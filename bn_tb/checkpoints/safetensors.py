"""safetensors: a length, a JSON header that says where each tensor lies, and the tensors.

https://github.com/huggingface/safetensors#format
"""

import json
import struct
from typing import Any

from bn_tb.checkpoints.contents import (
    MOST_TENSORS,
    CheckpointError,
    Contents,
    Stored,
    exactly,
    slice_of,
)
from bn_tb.files.found import RangeFile

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32",
    "U16": "uint16", "U8": "uint8", "BOOL": "bool", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}  # fmt: skip
_PREFIXES = ("module.", "_orig_mod.")


def is_safetensors(file: RangeFile) -> bool:
    """Returns whether a file begins with the length of a header and a JSON object."""
    start = file.read(0, 9)
    return len(start) == 9 and start[8:] == b"{" and _length(start) + 8 <= file.size


def read(file: RangeFile) -> Contents:
    """Returns what a safetensors file holds.

    Raises:
      CheckpointError: It is none, or damaged.
      OSError: It cannot be read.
    """
    length = _length(exactly(file, 0, 8, "length of the header"))
    header = exactly(file, 8, length, "header")
    try:
        entries = json.loads(header)
    except (ValueError, RecursionError):
        raise CheckpointError("its header is no JSON; copy the file again") from None
    if not isinstance(entries, dict) or len(entries) > MOST_TENSORS:
        raise CheckpointError("its header lists no tensors, or too many")
    tensors = dict[str, Stored]()
    for name, entry in entries.items():
        stored = _stored(file, 8 + length, entry) if name != "__metadata__" else None
        if stored is not None:
            tensors[_shown(name)] = stored
    return Contents("safetensors", tensors, _numbers(entries.get("__metadata__")))


def _length(start: bytes) -> int:
    return int(struct.unpack_from("<Q", start)[0])


def _shown(name: str) -> str:
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name


def _stored(file: RangeFile, base: int, entry: Any) -> Stored | None:
    """Returns a tensor, or None for one of a type without plain numbers."""
    if not isinstance(entry, dict) or entry.get("dtype") not in _DTYPES:
        return None
    shape, offsets = _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        raise CheckpointError("a tensor without shape or offsets")
    start, end = offsets
    read_some = slice_of(file, base + start, max(end - start, 0))
    return Stored(_DTYPES[entry["dtype"]], shape, read_some)


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 48 for one in value):
        return tuple(value)
    return None


def _numbers(metadata: Any) -> dict[str, float]:
    """Returns the numbers of the metadata, all of which is text."""
    found = dict[str, float]()
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(value, str) and value.isdecimal() and len(value) < 18:
            found[key] = float(value)
    return found
