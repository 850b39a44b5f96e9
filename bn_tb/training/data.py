"""MNIST from IDX files: 20,000 images in the package, or the full set from a folder."""

import dataclasses
import gzip
import lzma
import pathlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bn_tb.errors import BnTbError

EMBEDDED = pathlib.Path(__file__).parent / "mnist"  # its README.md names source and licence
CLASSES = 10
PIXELS = 28 * 28  # an image, row by row

# http://yann.lecun.com/exdb/mnist/, "FILE FORMATS": two zero bytes, the element type (8 is
# unsigned byte), the number of dimensions; then each dimension as a big-endian int32.
_IMAGES_HEADER = np.dtype([("magic", ">i4"), ("count", ">i4"), ("rows", ">i4"), ("columns", ">i4")])
_LABELS_HEADER = np.dtype([("magic", ">i4"), ("count", ">i4")])
_IMAGES_MAGIC = 0x00000803
_LABELS_MAGIC = 0x00000801
MOST_IMAGES = 300_000
"""Images of a file; EMNIST's digits, the largest set of this form, are 280,000."""
_OPENERS: dict[str, Callable[..., Any]] = {"": open, ".gz": gzip.open, ".xz": lzma.open}


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and what they show.

    Attributes:
      images: Brightness, 0 to 255, uint8 `[N, 784]`, row by row.
      labels: Class, 0 to 9, uint8 `[N]`.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Returns the number of images, N."""
        return len(self.labels)

    def batch(self, index: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Returns what a net is fed for the images at `index` (B of them).

        Returns:
          Brightness in `[0, 1]`, float32 `[B, 784]`; classes, int32 `[B]`.
        """
        return self.images[index] / np.float32(255), self.labels[index].astype(np.int32)

    def shuffled_batches(self, size: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields batches of exactly `size` images for ever; each pass is a new permutation."""
        generator = np.random.default_rng(seed)
        waiting = np.empty(0, dtype=np.intp)
        while True:
            while len(waiting) < size:
                waiting = np.concatenate([waiting, generator.permutation(len(self))])
            index, waiting = waiting[:size], waiting[size:]
            yield self.batch(index)


@dataclasses.dataclass(frozen=True, eq=False)
class Mnist:
    """The two parts of MNIST: what a net learns from, and what it is judged by."""

    train: LabelledImages
    test: LabelledImages


def read_mnist(folder: pathlib.Path = EMBEDDED) -> Mnist:
    """Reads the four IDX files of a folder, each plain, gzipped (.gz) or xz-compressed (.xz).

    Raises:
      BnTbError: A file is missing, damaged, or holds something else than MNIST.
    """
    return Mnist(_read_part(folder, "train"), _read_part(folder, "t10k"))


def _read_part(folder: pathlib.Path, part: str) -> LabelledImages:
    images_file = _find(folder, f"{part}-images-idx3-ubyte")
    labels_file = _find(folder, f"{part}-labels-idx1-ubyte")
    images = _read_idx(images_file, _IMAGES_HEADER, _IMAGES_MAGIC).reshape(-1, PIXELS)
    labels = _read_idx(labels_file, _LABELS_HEADER, _LABELS_MAGIC)
    if len(images) != len(labels):
        raise BnTbError(
            f"{labels_file}: {len(labels)} labels for the {len(images)} images of {images_file}"
        )
    if not len(labels):
        raise BnTbError(f"{images_file}: holds no images")
    if labels.max() >= CLASSES:
        raise BnTbError(f"{labels_file}: label {labels.max()}, but MNIST's classes are 0 to 9")
    return LabelledImages(images, labels)


def _find(folder: pathlib.Path, name: str) -> pathlib.Path:
    for suffix in _OPENERS:
        path = folder / (name + suffix)
        if path.is_file():
            return path
    raise BnTbError(f"{folder / name}: no such file, nor one with .gz or .xz appended")


def _read_idx(path: pathlib.Path, header_type: np.dtype, magic: int) -> np.ndarray:
    """Returns the elements of one IDX file, uint8, without their shape."""
    most = header_type.itemsize + MOST_IMAGES * PIXELS
    try:
        with _OPENERS[path.suffix](path, "rb") as file:
            content = file.read(most + 1)
    except (OSError, EOFError, MemoryError, zlib.error, lzma.LZMAError) as error:
        raise BnTbError(f"{path}: cannot be read: {error}") from error
    if len(content) > most:
        raise BnTbError(f"{path}: more than {MOST_IMAGES:,} images: not MNIST")
    if len(content) < header_type.itemsize:
        raise BnTbError(f"{path}: {len(content)} bytes, too short for an IDX header")
    header = np.frombuffer(content, header_type, count=1)[0]
    if header["magic"] != magic:
        raise BnTbError(
            f"{path}: starts with 0x{content[:4].hex()}, expected 0x{magic:08x}: not the IDX file "
            "its name says"
        )
    shape = header.tolist()[1:]
    if shape[1:] not in ((), (28, 28)):
        raise BnTbError(f"{path}: images of {shape[1]}x{shape[2]} pixels, expected 28x28")
    elements = np.frombuffer(content, np.uint8, offset=header_type.itemsize)
    expected = int(np.prod(shape))
    if len(elements) != expected:
        raise BnTbError(
            f"{path}: {len(elements)} bytes after the header, which announces {expected}: damaged"
        )
    return elements
