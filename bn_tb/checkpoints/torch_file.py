"""PyTorch files: zip archives since 1.6, streams of pickles before; only pickles are read whole.

https://github.com/pytorch/pytorch/blob/v2.9.0/torch/serialization.py; nothing in them is executed.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bn_tb.checkpoints import torch_names, torch_values
from bn_tb.checkpoints.contents import (
    LARGEST_INDEX,
    CheckpointError,
    Contents,
    Stored,
    exactly,
    is_known,
    item_size,
    slice_of,
)
from bn_tb.checkpoints.pickle_machine import load
from bn_tb.checkpoints.pickle_stack import CutOffError
from bn_tb.checkpoints.torch_alike import Pickles
from bn_tb.checkpoints.torch_values import Locate, Storage, Tensor
from bn_tb.checkpoints.zip_index import Member, ZipIndex
from bn_tb.files.found import RangeFile

MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""Magic number 0x1950a86a20f9469cfc6c as a pickle, after its protocol and maybe a frame."""
_MAGIC_WITHIN = 26  # bytes

Read = Callable[[int, int], bytes]

_FIRST_READ = 1 << 16  # bytes of a stream; each further attempt reads four times as many
_LARGEST_NUMBER = 1 << 62
_STEPS_READ = 8  # of an optimizer's steps; they are alike but for parameters without gradient


def read_zip(file: RangeFile, index: ZipIndex) -> Contents:
    """Returns what a zip archive of `torch.save` holds.

    Raises:
      CheckpointError: It is none, or damaged.
      OSError: It cannot be read.
    """
    (name,) = [name for name in index.members if name.endswith("data.pkl")][:1] or [""]
    if not name:
        raise CheckpointError("a zip archive, but not of torch.save: there is no data.pkl in it")
    folder = name.removesuffix("data.pkl")
    found = _PICKLES.found_in(index.read(index.members[name]))
    order = index.members.get(f"{folder}byteorder")
    big = order is not None and index.read(order) == b"big"

    def locate(storage: Storage) -> Read:
        return _reader(file, index, index.members.get(f"{folder}data/{storage.key}"))

    return _contents("PyTorch", found, locate, big)


_PICKLES = Pickles()


def _reader(file: RangeFile, index: ZipIndex, member: Member | None) -> Read:
    if member is None:
        raise CheckpointError("a tensor that is not in the archive")
    return slice_of(file, index.start(member), member.size)


def is_stream(file: RangeFile) -> bool:
    """Returns whether a file begins as those of `torch.save` did before release 1.6."""
    return MAGIC in file.read(0, _MAGIC_WITHIN)


def read_stream(file: RangeFile) -> Contents:
    """Returns what a file of `torch.save` before 1.6 holds.

    It is five pickles (magic number, protocol, machine, value, keys of storages in their order),
    then each storage: its number of elements, int64, and the elements.

    Raises:
      CheckpointError: It is none, or damaged.
      OSError: It cannot be read.
    """
    storages = dict[str, Storage]()

    def persistent(identifier: Any) -> Any:
        found = torch_values.storage_of(identifier)
        if isinstance(found, Storage):
            storages[found.key] = found
        return found

    pickles, end = _pickles(file, 5, persistent)
    machine, value, keys = pickles[2:]
    big = isinstance(machine, dict) and machine.get("little_endian") is False
    starts = _starts(file, end, keys, storages)

    def locate(storage: Storage) -> Read:
        if storage.key not in starts:
            raise CheckpointError("a tensor that is not in the file; is it cut off? copy it again")
        return slice_of(file, *starts[storage.key])

    return _contents("PyTorch (before 1.6)", torch_names.find(value), locate, big)


def _pickles(file: RangeFile, number: int, persistent: Any) -> tuple[list[Any], int]:
    """Returns the pickles that a file begins with, and where they end."""
    length = _FIRST_READ
    while True:
        data = file.read(0, length)
        try:
            found, at = list[Any](), 0
            for _ in range(number):
                value, at = load(data, at, torch_values.build, persistent)
                found.append(value)
            return found, at
        except CutOffError:
            if len(data) < length or length > LARGEST_INDEX:
                raise
            length *= 4


def _starts(
    file: RangeFile, at: int, keys: Any, storages: Mapping[str, Storage]
) -> dict[str, tuple[int, int]]:
    """Returns where each storage begins, and its bytes."""
    found = dict[str, tuple[int, int]]()
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(str(key)) if isinstance(key, str | int) else None
        if storage is None:
            raise CheckpointError("a storage that no tensor uses; its size is unknown")
        (numel,) = struct.unpack("<q", exactly(file, at, 8, "size of a storage"))
        size = max(numel, 0) * item_size(storage.dtype)
        if at + 8 + size > file.size:
            break  # cut off; the tensors before are there
        found[storage.key] = at + 8, size
        at += 8 + size
    return found


def _contents(name: str, found: torch_names.Found, locate: Locate, big_endian: bool) -> Contents:
    tensors = {
        name: tensor.stored(locate, big_endian)
        for name, tensor in found.tensors.items()
        if is_known(tensor.dtype)
    }
    numbers = {key: float(one) for key, one in found.numbers.items() if abs(one) < _LARGEST_NUMBER}
    return Contents(name, tensors, numbers, _steps(found, locate, big_endian))


def _steps(found: torch_names.Found, locate: Locate, big_endian: bool) -> int | None:
    """Returns the steps that optimizers made; 1 where they have state and do not count."""
    most = 1 if any(one.with_state for one in found.optimizers) else 0
    for one in found.optimizers:
        for step in one.steps[:: max(len(one.steps) // _STEPS_READ, 1)]:
            most = max(most, _number(step, locate, big_endian))
    return most if found.optimizers else None


def _number(step: Any, locate: Locate, big_endian: bool) -> int:
    if isinstance(step, Tensor):
        stored: Stored = step.stored(locate, big_endian)
        step = stored.array().reshape(-1)[0].item() if stored.size == 1 else 0
    return int(step) if isinstance(step, int | float) and np.isfinite(step) else 0
