"""The tags of one run: bytes in event files to small numbers, each distinct tag parsed once."""

import os

import numpy as np

from bn_tb import tags
from bn_tb.events import wire
from bn_tb.events.fields import BoolArray, Buffer, UIntArray
from bn_tb.series import IntArray

SKIP, SCALAR, HISTOGRAM, GRAPH = range(4)
"""What the tensors of a tag are, by the plugin that its first value names."""

_ROUTES = {"scalars": SCALAR, "histograms": HISTOGRAM}
GRAPH_PLUGINS = {
    "graph_run_metadata": "tagged_run_metadata",
    "graph_run_metadata_graph": "run_metadata",
    "graph_keras_model": "keras_model",
}
"""Plugin to kind of GraphSource; tensorboard/plugins/graph/metadata.py."""

_PLUGIN_DATA, _PLUGIN_NAME = 1, 1  # fields of SummaryMetadata and of its PluginData
_HASHED_WORDS = 32  # longer tags are hashed by Python
_SALT = np.uint64(int.from_bytes(os.urandom(8), "little") | 1)  # nobody can write colliding tags
_HALF = np.uint64(32)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)


class TagTable:
    """Tags in the order in which they were first met.

    Attributes:
      names: Tags as text; invalid UTF-8 as backslash escapes.
      parsed: How each is understood, or None.
      plugins: The plugin that the first value of each names, or an empty string.
    """

    def __init__(self, patterns: tags.TagPatterns) -> None:
        self.names: list[str] = []
        self.parsed: list[tags.ParsedTag | None] = []
        self.plugins: list[str] = []
        self._patterns = patterns
        self._hashed: list[int] = []
        self._hashes = np.zeros(0, np.uint64)  # sorted
        self._ids = np.zeros(0, np.int64)  # of the sorted hashes
        self._route = np.zeros(0, np.int64)
        self._wanted = np.zeros(0, bool)
        self._statistic = np.zeros(0, bool)

    def identify(
        self,
        buffer: Buffer,
        at: IntArray,
        size: IntArray,
        metadata: IntArray,
        metadata_size: IntArray,
    ) -> IntArray:
        """Returns the number of each tag, int64 `[N]`, after adding those that are new.

        Args:
          buffer: Holds tags and metadata.
          at: Where each tag is, int64 `[N]`; size 0 for an empty one.
          size: Bytes of each tag, int64 `[N]`.
          metadata: Where the SummaryMetadata beside each tag is, int64 `[N]`.
          metadata_size: Its bytes, 0 without metadata, int64 `[N]`.
        """
        hashes = _hash(buffer, at, size)
        place = np.searchsorted(self._hashes, hashes)
        known = place < len(self._hashes)
        known[known] = self._hashes[place[known]] == hashes[known]
        if not known.all():
            fresh = np.flatnonzero(~known)
            for one in fresh[np.sort(np.unique(hashes[fresh], return_index=True)[1])].tolist():
                plugin = _plugin(buffer.data[metadata[one] : metadata[one] + metadata_size[one]])
                self._add(buffer.data[at[one] : at[one] + size[one]], plugin, hashes[one])
            self._index()
            place = np.searchsorted(self._hashes, hashes)
        ids: IntArray = self._ids[place]
        return ids

    def route(self, ids: IntArray) -> IntArray:
        """Returns SKIP, SCALAR, HISTOGRAM or GRAPH for tensors of these tags, int64 `[N]`."""
        return self._route[ids]

    def wanted(self, ids: IntArray) -> BoolArray:
        """Returns which tags stand for statistics or weights, bool `[N]`."""
        return self._wanted[ids]

    def statistic(self, ids: IntArray) -> BoolArray:
        """Returns which tags stand for moving statistics, bool `[N]`."""
        return self._statistic[ids]

    def _add(self, tag: bytes, plugin: str, hashed: np.uint64) -> None:
        name = tag.decode("utf-8", "backslashreplace")
        self._hashed.append(int(hashed))
        self.names.append(name)
        self.parsed.append(tags.parse_tag(name, self._patterns))
        self.plugins.append(plugin)

    def _index(self) -> None:
        hashes = np.array(self._hashed, np.uint64)
        self._ids = np.argsort(hashes)
        self._hashes = hashes[self._ids]
        graph = {plugin: GRAPH for plugin in GRAPH_PLUGINS}
        self._route = np.array([(_ROUTES | graph).get(name, SKIP) for name in self.plugins])
        self._wanted = np.array([parsed is not None for parsed in self.parsed])
        self._statistic = np.array(
            [parsed is not None and parsed.role in tags.STATISTICS for parsed in self.parsed]
        )


def _hash(buffer: Buffer, at: IntArray, size: IntArray) -> UIntArray:
    """Returns a salted 64-bit hash of some bytes each, uint64 `[N]`."""
    hashes = size.astype(np.uint64) * _SALT
    which, mixed, here, left = np.arange(len(at)), hashes, at, size
    for _ in range(_HASHED_WORDS):
        some = left > 0
        if np.count_nonzero(some) < len(some):
            hashes[which] = mixed
            which, mixed, here, left = which[some], mixed[some], here[some], left[some]
            if not len(which):
                return hashes
        mixed = (mixed ^ buffer.words(here) & _MASKS[np.minimum(left, 8)]) * _SALT
        mixed ^= mixed >> _HALF
        here, left = here + 8, left - 8
    hashes[which] = mixed
    for one in which[left > 0].tolist():
        rest = hash(buffer.data[at[one] : at[one] + size[one]])
        hashes[one] ^= np.uint64(rest & 0xFFFFFFFFFFFFFFFF)
    return hashes


def _plugin(metadata: bytes) -> str:
    try:
        for number, plugin_data in wire.fields(metadata):
            if number == _PLUGIN_DATA and isinstance(plugin_data, bytes):
                for inner, name in wire.fields(plugin_data):
                    if inner == _PLUGIN_NAME and isinstance(name, bytes):
                        return name.decode("utf-8", "replace")
    except wire.DecodeError:
        return ""
    return ""
