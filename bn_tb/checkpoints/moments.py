"""Moments of many tensors at once: what a histogram series holds of one point."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.runs.series import BAND_LEVELS, FloatArray


@dataclasses.dataclass(frozen=True)
class Moments:
    """Moments of N tensors.

    Attributes:
      measures: Minimum, maximum, count, total, sum of squares, float64 `[N, 5]`; exact.
      bands: Values at `BAND_LEVELS`, float32 `[N, 9]`.
      identity: uint64 `[N]`; equal exactly where two tensors are, bit by bit.
    """

    measures: FloatArray
    bands: npt.NDArray[np.float32]
    identity: npt.NDArray[np.uint64]


def moments_of(tensors: Sequence[npt.NDArray[Any]]) -> Moments:
    """Returns the moments of tensors, those of one size together.

    Args:
      tensors: Real numbers of any type, one or more each.
    """
    measures = np.empty((len(tensors), 5))
    bands = np.empty((len(tensors), len(BAND_LEVELS)), np.float32)
    identity = np.array([_identity(tensor) for tensor in tensors], np.uint64)
    for at in _by_size(tensors).values():
        values = np.array([tensors[one].ravel() for one in at], np.float64)
        measures[at], bands[at] = _measured(values)
    return Moments(measures, bands, identity)


def _by_size(tensors: Sequence[npt.NDArray[Any]]) -> Mapping[int, list[int]]:
    sizes: dict[int, list[int]] = {}
    for at, tensor in enumerate(tensors):
        sizes.setdefault(tensor.size, []).append(at)
    return sizes


def _measured(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns measures and bands of values `[L, C]`."""
    with np.errstate(all="ignore"):
        columns = (values.min(1), values.max(1), values.sum(1), (values**2).sum(1))
        ordered = np.sort(values, axis=1)
        places = np.asarray(BAND_LEVELS) * (values.shape[1] - 1)
        low = places.astype(int)
        high = np.minimum(low + 1, values.shape[1] - 1)
        part = places - low
        # Of equal neighbours no difference is taken: infinite ones would leave NaN.
        step = np.where(
            ordered[:, high] == ordered[:, low], 0.0, ordered[:, high] - ordered[:, low]
        )
        bands = ordered[:, low] + part * step
    count = np.full(len(values), float(values.shape[1]))
    return np.stack([columns[0], columns[1], count, columns[2], columns[3]], axis=1), bands


def _identity(tensor: npt.NDArray[Any]) -> int:
    digest = hashlib.blake2b(tensor.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
