"""Keras' `.keras` archives: a configuration and an HDF5 file in a zip, of which little is read."""

from bn_tb.checkpoints import hdf5
from bn_tb.checkpoints.contents import CheckpointError, Contents
from bn_tb.checkpoints.zip_index import ZipIndex
from bn_tb.files.found import RangeFile

_WEIGHTS = "model.weights.h5"


def is_archive(index: ZipIndex) -> bool:
    """Returns whether a zip archive is one of Keras."""
    return "config.json" in index.members and _WEIGHTS in index.members


def read(file: RangeFile, index: ZipIndex) -> Contents:
    """Returns what a `.keras` file holds.

    Raises:
      CheckpointError: It is damaged, or h5py is not installed.
      OSError: It cannot be read.
    """
    weights = index.members[_WEIGHTS]
    if weights.compressed is not None:
        raise CheckpointError("compressed weights, which Keras does not write; save it again")
    config = index.read(index.members["config.json"])
    return hdf5.read(file, index.start(weights), weights.size, config)
