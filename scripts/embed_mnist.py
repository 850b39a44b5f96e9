"""Makes the MNIST files inside the package from the full IDX files.

    python scripts/embed_mnist.py --data_dir=FOLDER

Takes the first 10,000 training images and all 10,000 test images, in their order, and writes them
as xz-compressed IDX files. Measured on both image files together: gzip 3.21 MB, bzip2 2.78 MB,
xz 2.67 MB; pixel by pixel instead of image by image xz 3.17 MB, bit plane by bit plane 4.47 MB.
"""

import lzma
import pathlib

import numpy as np
from absl import app, flags

from bn_tb.training import data

IMAGES = 10_000  # of each part
# 4 literal context bits and no position bits: bytes that follow bytes, no wider elements.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]

DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with MNIST's IDX files.", required=True)


def write_idx(name: str, array: np.ndarray) -> int:
    """Writes a uint8 array as `name`.xz; returns the size of the file in bytes."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    content = lzma.compress(header + array.tobytes(), filters=FILTERS)
    (data.EMBEDDED / f"{name}.xz").write_bytes(content)
    return len(content)


def main(_: list[str]) -> None:
    """Writes the four files and prints their size."""
    mnist = data.read_mnist(pathlib.Path(DATA_DIR.value))
    data.EMBEDDED.mkdir(exist_ok=True)
    total = 0
    for name, part in (("train", mnist.train), ("t10k", mnist.test)):
        images = part.images[:IMAGES].reshape(-1, 28, 28)
        total += write_idx(f"{name}-images-idx3-ubyte", images)
        total += write_idx(f"{name}-labels-idx1-ubyte", part.labels[:IMAGES])
    print(f"{data.EMBEDDED}: {total:,} bytes")


if __name__ == "__main__":
    app.run(main)
