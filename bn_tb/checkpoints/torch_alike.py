"""Pickles of one training, most of which differ in a few numbers: epoch, loss, learning rate.

A pickle that is equal to the one before it but for such numbers holds the same tensors. It is not
gone through again: the numbers are read where they are written.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.checkpoints import torch_names, torch_values
from bn_tb.checkpoints.pickle_machine import NUMBERS, load
from bn_tb.checkpoints.pickle_stack import Written, WrittenInt
from bn_tb.checkpoints.torch_values import Tensor

_LARGEST = 1 << 22
"""Bytes of a pickle that is remembered; one of ten thousand tensors has two million."""


@dataclasses.dataclass(frozen=True)
class _Template:
    """A pickle, what was found in it, and which of its bytes may be others: bool `[bytes]`."""

    pickled: bytes
    found: torch_names.Found
    free: npt.NDArray[np.bool_]

    def fits(self, pickled: bytes) -> bool:
        """Returns whether a pickle differs in free bytes only."""
        if len(pickled) != len(self.pickled):
            return False
        other = np.frombuffer(pickled, np.uint8) != np.frombuffer(self.pickled, np.uint8)
        return not (other & ~self.free).any()

    def filled(self, pickled: bytes) -> torch_names.Found:
        """Returns what a pickle that fits holds."""
        numbers = {name: _read(one, pickled) for name, one in self.found.numbers.items()}
        optimizers = tuple(
            dataclasses.replace(one, steps=tuple(_read(step, pickled) for step in one.steps))
            for one in self.found.optimizers
        )
        return dataclasses.replace(self.found, numbers=numbers, optimizers=optimizers)


class Pickles:
    """Goes through pickles, and remembers the last one."""

    def __init__(self) -> None:
        self._last: _Template | None = None

    def found_in(self, pickled: bytes) -> torch_names.Found:
        """Returns the tensors, numbers and optimizers of a pickle.

        Raises:
          CheckpointError: It is none.
        """
        last = self._last
        if last is not None and last.fits(pickled):
            return last.filled(pickled)
        build, storage_of = torch_values.build, torch_values.storage_of
        numbers = list[Written]()
        found = torch_names.find(load(pickled, 0, build, storage_of, numbers)[0])
        template = _Template(pickled, found, _free(pickled, found, numbers))
        self._last = template if len(pickled) <= _LARGEST else None
        return template.filled(pickled)


def _read(number: Any, pickled: bytes) -> Any:
    if not isinstance(number, Written):
        return number
    return NUMBERS[pickled[number.at - 1]].unpack_from(pickled, number.at)[0]


def _free(
    pickled: bytes, found: torch_names.Found, numbers: list[Written]
) -> npt.NDArray[np.bool_]:
    """Returns which bytes may be others: of all numbers but keys, sizes and places of tensors."""
    free = np.zeros(len(pickled), bool)
    fixed = {number.at for number in _geometry(found)}
    for number in numbers:
        end = number.at + NUMBERS[pickled[number.at - 1]].size
        free[number.at : end] = not number.is_key and number.at not in fixed
    return free


def _geometry(found: torch_names.Found) -> Iterator[WrittenInt]:
    steps = [step for one in found.optimizers for step in one.steps]
    for one in (*found.tensors.values(), *steps):
        if isinstance(one, Tensor):
            for number in (one.storage.numel, one.offset, *one.shape, *one.strides):
                if isinstance(number, WrittenInt):
                    yield number
