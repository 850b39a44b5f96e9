"""Which format a file has, by its bytes; one door to all of them."""

from collections.abc import Callable

from bn_tb.checkpoints import (
    hdf5,
    keras_archive,
    safetensors,
    tf_bundle,
    tf_v1,
    torch_file,
)
from bn_tb.checkpoints.contents import CheckpointError, Contents
from bn_tb.checkpoints.sorted_table import is_table
from bn_tb.checkpoints.zip_index import ZipIndex, is_zip
from bn_tb.files.found import RangeFile
from bn_tb.runs.run import POINTER

Shards = tf_bundle.Shards

_LFS = b"version https://git-lfs.github.com/spec/"
_PICKLE = b"\x80"


class ForeignError(CheckpointError):
    """The bytes are those of no format that is known."""


def read(file: RangeFile, shards: Shards | None = None) -> Contents:
    """Returns what a checkpoint holds.

    Args:
      file: The file; of a TensorFlow V2 checkpoint its index.
      shards: For that index, opens its data files.

    Raises:
      CheckpointError: It is none that can be read; says why, and what to do.
      OSError: It cannot be read.
    """
    if file.read(0, len(_LFS)) == _LFS:
        raise CheckpointError(POINTER)
    if shards is not None:
        return tf_bundle.read(file, shards)
    for is_one, read_one in FORMATS:
        if is_one(file):
            return read_one(file)
    raise ForeignError(_unknown(file))


def is_known(file: RangeFile) -> bool:
    """Returns whether a file looks like one of these formats.

    Raises:
      OSError: It cannot be read.
    """
    return any(is_one(file) for is_one, _ in FORMATS)


def _read_archive(file: RangeFile) -> Contents:
    index = ZipIndex(file)
    if keras_archive.is_archive(index):
        return keras_archive.read(file, index)
    return torch_file.read_zip(file, index)


FORMATS: tuple[tuple[Callable[[RangeFile], bool], Callable[[RangeFile], Contents]], ...] = (
    (is_zip, _read_archive),
    (torch_file.is_stream, torch_file.read_stream),
    (hdf5.is_hdf5, hdf5.read),
    (is_table, tf_v1.read),
    (safetensors.is_safetensors, safetensors.read),
)
"""Formats of one file: what tells one by its bytes, and what reads it."""


def _unknown(file: RangeFile) -> str:
    if not file.size:
        return "an empty file"
    if file.read(0, 1) == _PICKLE:
        return "a pickle that torch.save did not write; save the state_dict with torch.save"
    return "no checkpoint of a format that is known, or one that is cut off; copy it again"
