"""CRC-32C as TFRecord files store it: rotated and offset.

Masked, so that the checksum of data that holds checksums stays a good one:
https://github.com/tensorflow/tensorflow/blob/v2.15.0/tensorflow/core/lib/hash/crc32c.h#L49-L53
"""

import google_crc32c

_MASK_DELTA = 0xA282EAD8


def masked_crc(data: bytes) -> int:
    """Returns the masked CRC-32C of some bytes, in [0, 2**32)."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
