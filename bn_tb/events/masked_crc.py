"""CRC-32C as TFRecord files store it: rotated and offset.

Masked, so that the checksum of data that holds checksums stays a good one:
https://github.com/tensorflow/tensorflow/blob/v2.15.0/tensorflow/core/lib/hash/crc32c.h#L49-L53
"""

import google_crc32c
import numpy as np
import numpy.typing as npt

from bn_tb.runs.series import IntArray

_MASK_DELTA = 0xA282EAD8


def masked_crc(data: bytes) -> int:
    """Returns the masked CRC-32C of some bytes, in [0, 2**32)."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def unmasked(masked: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Returns the checksums behind masked ones, uint32 `[N]`."""
    rotated = masked - np.uint32(_MASK_DELTA)
    return rotated >> np.uint32(17) | rotated << np.uint32(15)


def checksums(data: bytes, starts: IntArray, ends: IntArray) -> npt.NDArray[np.uint32]:
    """Returns the CRC-32C of each `data[start:end]`, uint32 `[N]`."""
    value, octets = google_crc32c.value, np.frombuffer(data, np.uint8)  # slices without a copy
    pairs = zip(starts.tolist(), ends.tolist(), strict=True)
    return np.fromiter((value(octets[a:b]) for a, b in pairs), np.uint32, len(starts))
