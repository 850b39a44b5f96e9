"""HDF5 files of Keras: variables by layer, in all three arrangements that Keras writes.

h5py reads the structure; numbers are read from where it says that they lie.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bn_tb.checkpoints.contents import (
    LARGEST_TENSOR,
    MOST_TENSORS,
    CheckpointError,
    Contents,
    Stored,
    is_known,
    slice_of,
)
from bn_tb.checkpoints.keras_names import Path, named, tree
from bn_tb.checkpoints.zip_index import Stream
from bn_tb.files.found import RangeFile

START = b"\x89HDF\r\n\x1a\n"
_DEEPEST = 24  # groups inside one another; models inside models are some levels deep
_LARGEST_STRUCTURE = 1 << 26  # bytes that h5py may read of the file
_OPTIMIZERS = ("optimizer", "optimizer_weights")
_NOT_THE_MODEL = (*_OPTIMIZERS, "metrics")
_AMISS = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError)


def is_hdf5(file: RangeFile) -> bool:
    """Returns whether a file begins as HDF5 does."""
    return file.read(0, 8) == START


def read(file: RangeFile, start: int = 0, size: int = -1, config: bytes = b"") -> Contents:
    """Returns what a `.h5` or `.weights.h5` file of Keras holds.

    Args:
      file: The file, or an archive that holds it uncompressed.
      start: Where it begins.
      size: Its bytes; -1 for the rest.
      config: The model's configuration as JSON, if it lies beside.

    Raises:
      CheckpointError: It is none, or damaged, or h5py is not installed.
    """
    h5py = _library()
    stream = Stream(file, _LARGEST_STRUCTURE, start, size)
    try:
        with h5py.File(stream, "r") as root:
            return _contents(root, file, start, config)
    except _AMISS as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"not a sound HDF5 file: {_reason(error)}") from None


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise CheckpointError("Keras files need h5py: pip install h5py") from None
    return h5py


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _contents(root: Any, file: RangeFile, start: int, config: bytes) -> Contents:
    nodes = list(_nodes(root, (), [0]))
    found = {path: one for path, node in nodes if (one := _stored(node, file, start)) is not None}
    variables = {path: one for path, one in found.items() if path[0] not in _NOT_THE_MODEL}
    config = config or _attribute(root, "model_config")
    graphs = (("keras_model", config),) if config else ()
    iterations = _iterations(found)
    numbers = {} if iterations is None else {"iterations": iterations}
    if any("vars" in path for path in variables):
        labels = {path[:-1]: _attribute(node, "name") for path, node in nodes if path[-1] == "vars"}
        tensors = named(tree(variables, labels), config)
        return Contents("Keras", tensors, numbers, graphs=graphs)
    plain = {_legacy_name(path): stored for path, stored in variables.items()}
    return Contents("Keras (h5)", plain, numbers, graphs=graphs)


def _legacy_name(path: tuple[str, ...]) -> str:
    """Returns the name of a variable from its group, its layer's name once, and without `:0`."""
    parts = list(path[1:] if path[0] == "model_weights" else path)
    if len(parts) > 2 and parts[0] == parts[1]:
        del parts[0]
    return "/".join(parts).removesuffix(":0")


def _nodes(group: Any, path: Path, seen: list[int]) -> Iterator[tuple[Path, Any]]:
    """Yields groups and datasets below a group; links to other files are not followed."""
    import h5py

    for key in group:
        seen[0] += 1
        if seen[0] > MOST_TENSORS or len(path) > _DEEPEST:
            raise CheckpointError("more groups than any model has")
        if isinstance(group.get(key, getlink=True), h5py.HardLink):
            child = group[key]
            yield (*path, key), child
            if isinstance(child, h5py.Group):
                yield from _nodes(child, (*path, key), seen)


def _stored(dataset: Any, file: RangeFile, start: int) -> Stored | None:
    """Returns a dataset as a tensor, or None for what has no numbers, or not in this file."""
    dtype, shape = getattr(dataset, "dtype", None), getattr(dataset, "shape", None)
    if dtype is None or shape is None or not is_known(dtype.name):
        return None
    if dataset.external or dataset.is_virtual:
        return None
    offset, size = dataset.id.get_offset(), dataset.id.get_storage_size()
    if offset is not None and size == dataset.nbytes:
        read = slice_of(file, start + offset, size)
        return Stored(dtype.name, shape, read, dtype.byteorder == ">")
    chunk = np.prod(dataset.chunks or (1,), dtype=np.float64) * dtype.itemsize
    if max(dataset.nbytes, chunk) > LARGEST_TENSOR >> 4:
        return None
    data = dataset[()].tobytes()
    return Stored(dtype.name, shape, lambda at, most: data[at : at + most], dtype.byteorder == ">")


def _attribute(group: Any, name: str) -> bytes:
    """Returns a text attribute, empty where there is none."""
    with contextlib.suppress(*_AMISS):
        value = group.attrs.get(name, b"")
        if isinstance(value, str | bytes):
            return value.encode() if isinstance(value, str) else value
    return b""


def _iterations(found: Mapping[Path, Stored]) -> float | None:
    """Returns the iterations of the optimizer: its first variable, or the one called so."""
    for path, stored in found.items():
        counts = path[:3] == ("optimizer", "vars", "0") or "iter" in path[-1]
        if path[0] in _OPTIMIZERS and counts and stored.shape == () and "int" in stored.dtype:
            return float(stored.array())
    return None
