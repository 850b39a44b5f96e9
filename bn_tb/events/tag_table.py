"""The tags of runs: bytes in event files to small numbers, each distinct tag parsed once.

What the tensors of a tag are (its route) is a matter of each run, whoever else has the same tag:
the first value of the run that says it decides, by its metadata or by its kind, as in TensorBoard
(tensorboard/data_compat.py, migrate_value).
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable

import numpy as np

from bn_tb.events import hyperparameters, protos, wire
from bn_tb.events.fields import BoolArray, Buffer, UIntArray
from bn_tb.runs import tags
from bn_tb.runs.series import IntArray

UNKNOWN, SKIP, SCALAR, HISTOGRAM, GRAPH = range(-1, 4)
"""What the tensors of a tag are; graphs of several kinds count up from GRAPH."""

GRAPH_KINDS = ("tagged_run_metadata", "run_metadata", "keras_model")
"""Kinds of GraphSource, from the route GRAPH on."""

_ROUTES = {
    "scalars": SCALAR,
    "histograms": HISTOGRAM,
    "graph_run_metadata": GRAPH,
    "graph_run_metadata_graph": GRAPH + 1,
    "graph_keras_model": GRAPH + 2,
}
"""Routes by plugin; those of graphs from tensorboard/plugins/graph/metadata.py."""

_PLUGIN_DATA, _PLUGIN_NAME = 1, 1  # fields of SummaryMetadata and of its PluginData
_HASHED_BYTES = 256  # longer tags are hashed by Python
_BLOCK = 64  # bytes, as many as the padding of a Buffer
_SALTS = np.frombuffer(os.urandom(18 * 8), np.uint64) | np.uint64(1)  # nobody knows how to collide
_HALF = np.uint64(32)
_REMEMBERED = 1 << 14  # tags
_BITS = np.clip(np.arange(_BLOCK + 1)[:, None] * 8 - np.arange(0, 8 * _BLOCK, 64), 0, 64)
_MASKS = np.array([[(1 << bits) - 1 for bits in row] for row in _BITS.tolist()], np.uint64)
"""What to keep of each word of a block, by how many bytes are left, `[65, 8]`."""


@dataclasses.dataclass(frozen=True)
class Tag:
    """A tag as its name tells.

    Attributes:
      name: The tag as text; invalid UTF-8 as backslash escapes.
      wanted: Whether it stands for a statistic or a weight.
      statistic: Whether it stands for a moving statistic.
    """

    name: str
    wanted: bool
    statistic: bool


class TagTable:
    """The tags of one or several runs in the order in which they were first met."""

    def __init__(self, patterns: tags.TagPatterns, runs: int = 1) -> None:
        self.tags: list[Tag] = []
        self.hyperparameters = -1
        """Number of the tag of hyperparameters, once it was met."""
        self._understood = _Understood.of(patterns)
        self._hashed: list[int] = []
        self._hashes = np.zeros(0, np.uint64)  # sorted
        self._ids = np.zeros(0, np.int64)  # of the sorted hashes
        self._traits = np.zeros((0, 2), np.int64)  # wanted, statistic
        self._routes = np.full((runs, 0), UNKNOWN, np.int64)

    def identify(self, buffer: Buffer, at: IntArray, size: IntArray) -> IntArray:
        """Returns the number of each tag, int64 `[N]`, after adding those that are new.

        Args:
          buffer: Holds the tags.
          at: Where each tag is, int64 `[N]`; size 0 for an empty one.
          size: Bytes of each tag, int64 `[N]`.
        """
        hashes = _hash(buffer, at, size)
        place = np.searchsorted(self._hashes, hashes)
        known = place < len(self._hashes)
        known[known] = self._hashes[place[known]] == hashes[known]
        fresh = np.flatnonzero(~known)
        if len(fresh):
            first = fresh[np.sort(np.unique(hashes[fresh], return_index=True)[1])]
            for start, end in zip(at[first].tolist(), (at + size)[first].tolist(), strict=True):
                self._append(self._understood.tag(buffer.data[start:end]))
            self._hashed += hashes[first].tolist()
            self._index()
            place = np.searchsorted(self._hashes, hashes)
        ids: IntArray = self._ids[place]
        return ids

    def _append(self, tag: Tag) -> None:
        if tag.name == hyperparameters.TAG:
            self.hyperparameters = len(self.tags)
        self.tags.append(tag)

    def _index(self) -> None:
        hashes = np.array(self._hashed, np.uint64)
        self._ids = np.argsort(hashes)
        self._hashes = hashes[self._ids]
        self._traits = np.array([(tag.wanted, tag.statistic) for tag in self.tags], np.int64)
        missing = len(self.tags) - self._routes.shape[1]
        self._routes = np.pad(self._routes, ((0, 0), (0, missing)), constant_values=UNKNOWN)

    def learn(self, runs: IntArray, ids: IntArray, said: IntArray) -> None:
        """Learns what tags are, from the first value of each run and tag that says it.

        Args:
          runs: The run of each value, int64 `[N]`, in the order written.
          ids: Its tag, int64 `[N]`.
          said: The route that it says, UNKNOWN where it says none, int64 `[N]`.
        """
        news = np.flatnonzero((said != UNKNOWN) & (self._routes[runs, ids] == UNKNOWN))
        first = news[np.unique(runs[news] * len(self.tags) + ids[news], return_index=True)[1]]
        self._routes[runs[first], ids[first]] = said[first]

    def routes(self, runs: IntArray, ids: IntArray) -> IntArray:
        """Returns the route of some values, as far as it is known, int64 `[N]`."""
        routes: IntArray = self._routes[runs, ids]
        return routes

    def wanted(self, ids: IntArray) -> BoolArray:
        """Returns which tags stand for statistics or weights, bool `[N]`."""
        wanted: BoolArray = self._traits[ids, 0] > 0
        return wanted

    def statistic(self, ids: IntArray) -> BoolArray:
        """Returns which tags stand for moving statistics, bool `[N]`."""
        statistic: BoolArray = self._traits[ids, 1] > 0
        return statistic


class _Understood:
    """Tags as they were understood before: the runs of a logdir have mostly the same."""

    def __init__(self, patterns: tags.TagPatterns) -> None:
        self._patterns = patterns
        self._known: dict[bytes, Tag] = {}

    @classmethod
    @functools.lru_cache(maxsize=4)
    def of(cls, patterns: tags.TagPatterns) -> "_Understood":
        """Returns what is shared by all runs that are read with the same patterns."""
        return cls(patterns)

    def __reduce__(self) -> tuple[Callable[..., "_Understood"], tuple[tags.TagPatterns]]:
        return _Understood.of, (self._patterns,)

    def tag(self, name: bytes) -> Tag:
        known = self._known.get(name)
        if known is None:
            known = self._understand(_text(name))
            if len(self._known) < _REMEMBERED and len(name) <= tags.LONGEST_NAME:
                self._known[name] = known
        return known

    def _understand(self, name: str) -> Tag:
        parsed = tags.parse_tag(name, self._patterns)
        statistic = parsed is not None and parsed.role in tags.STATISTICS
        return Tag(name, parsed is not None, statistic)


def _text(name: bytes) -> str:
    """Returns a tag as text; of one that nobody reads its begin, its size and a digest."""
    if len(name) <= 16 * tags.LONGEST_NAME:
        return name.decode("utf-8", "backslashreplace")
    begin = name[: tags.LONGEST_NAME].decode("utf-8", "backslashreplace")
    digest = hashlib.blake2b(name, digest_size=8).hexdigest()
    return f"{begin}... ({len(name):,} bytes, {digest})"


def _hash(buffer: Buffer, at: IntArray, size: IntArray) -> UIntArray:
    """Returns a salted 64-bit hash of some bytes each, uint64 `[N]`."""
    hashes: UIntArray = size.astype(np.uint64) * _SALTS[-1]
    for first in range(0, _HASHED_BYTES, _BLOCK):
        which = np.flatnonzero(size > first)
        if not len(which):
            return hashes
        left = np.minimum(size[which] - first, _BLOCK)
        width = (int(left.max()) + 7) // 8
        words = buffer.rows(at[which] + first, width, "<u8") & _MASKS[:, :width][left]
        words *= _SALTS[:width]
        words ^= words >> _HALF
        hashes[which] = hashes[which] * _SALTS[-2] + (words @ _SALTS[8 : 8 + width])
    for one in np.flatnonzero(size > _HASHED_BYTES).tolist():
        rest = hash(buffer.data[at[one] : at[one] + size[one]])
        hashes[one] ^= np.uint64(rest & 0xFFFFFFFFFFFFFFFF)
    return hashes


@functools.lru_cache(1 << 10)
def route_of_plugin(metadata: bytes) -> int:
    """Returns the route that a SummaryMetadata names by its plugin."""
    return _ROUTES.get(_plugin(metadata), SKIP)


def _plugin(metadata: bytes) -> str:
    try:
        return _written_name(metadata)
    except wire.DecodeError:
        pass  # unusual, or no metadata
    try:
        name: bytes = protos.parse("Metadata", metadata).plugin_data.plugin_name
    except wire.DecodeError:
        return ""
    return name.decode("utf-8", "replace")


def _written_name(metadata: bytes) -> str:
    """Returns the name in metadata as writers make them, without the cost of importing protobuf."""
    names = [
        name.decode("utf-8", "replace")
        for number, plugin_data in wire.fields(metadata, wire.FEW)
        if number == _PLUGIN_DATA and isinstance(plugin_data, bytes)
        for inner, name in wire.fields(plugin_data, wire.FEW)
        if inner == _PLUGIN_NAME and isinstance(name, bytes)
    ]
    return names[-1] if names else ""
