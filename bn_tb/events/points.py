"""Points of many tags in the order read, thinned when they become too many."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.events import thinning
from bn_tb.runs.series import IntArray

Columns = dict[str, npt.NDArray[Any]]
"""Rows of them are picked by `take`, which needs a fifth of the time of an index."""

_OWN = frozenset(["tag", "ordinal", "measures"])
"""Columns of which a series has no part as they are."""

MIN_CAP = 4 * thinning.BURST  # points of a tag, however many tags there are


class PointLog:
    """Columns of points of all tags of a run.

    Every point has `tag` and `step` (int64), `identity` (uint64) and `measures` (float64 `[N, M]`)
    beside the columns that the user of the log adds.
    """

    def __init__(self, max_points: int) -> None:
        self.max_points = max_points
        self._chunks: list[Columns] = []
        self._size = 0
        self._sorted = True
        self._seen: dict[int, int] = {}
        self._thinned: set[int] = set()

    def add(self, columns: Columns) -> None:
        """Takes points in the order read; arrays of `[N]` or `[N, ...]`."""
        self._chunks.append(columns)
        self._size += len(columns["tag"])
        self._sorted = False
        if self._size > self.max_points:
            self._merge(thin=True)

    def series(self) -> Iterator[tuple[int, Mapping[str, npt.NDArray[Any]], bool]]:
        """Yields each tag, its columns (`measures` as `[M, N]`), and whether they were thinned.

        Without `tag`, which is one, and what the log added.
        """
        self.merge()
        for merged in self._chunks:
            shown = [(name, merged[name]) for name in merged if name not in _OWN]
            measures = np.ascontiguousarray(merged["measures"].T)
            for tag, start, end in _groups(merged["tag"]):
                columns = {name: column[start:end] for name, column in shown}
                columns["measures"] = measures[:, start:end]
                yield tag, columns, tag in self._thinned

    def merge(self) -> None:
        """Sorts the points by tag, which makes them few arrays and quick to send elsewhere."""
        if not self._sorted:
            self._merge(thin=False)

    def _merge(self, thin: bool) -> None:
        for chunk in self._chunks:
            chunk.setdefault("ordinal", np.full(len(chunk["tag"]), -1))
        merged = {
            name: np.concatenate([chunk[name] for chunk in self._chunks])
            for name in self._chunks[0]
        }
        self._chunks.clear()
        # Numbers of two bytes are sorted by radix; more tags are rare.
        order = np.argsort(_narrowed(merged["tag"]), kind="stable")
        merged = {name: column.take(order, axis=0) for name, column in merged.items()}
        if thin:
            self._number(merged["tag"], merged["ordinal"])
            merged = self._thin(merged)
        self._chunks, self._sorted = [merged], True
        self._size = len(merged["tag"])

    def _number(self, tags: IntArray, ordinal: IntArray) -> None:
        """Numbers the points of each tag that have no number (-1) yet."""
        for tag, start, end in _groups(tags):
            fresh = int(np.count_nonzero(ordinal[start:end] < 0))
            seen = self._seen.get(tag, 0)
            ordinal[end - fresh : end] = np.arange(seen, seen + fresh)
            self._seen[tag] = seen + fresh

    def _thin(self, merged: Columns) -> Columns:
        groups = list(_groups(merged["tag"]))
        cap = max(self.max_points // 2 // len(groups), MIN_CAP)
        kept = []
        for tag, start, end in groups:
            some = slice(start, end)
            chosen = thinning.keep(
                merged["ordinal"][some],
                merged["step"][some],
                merged["identity"][some],
                merged["measures"][some],
                cap,
            )
            if len(chosen) < end - start:
                self._thinned.add(tag)
            kept.append(chosen + start)
        index = np.concatenate(kept)
        return {name: column.take(index, axis=0) for name, column in merged.items()}


def _narrowed(tags: IntArray) -> npt.NDArray[Any]:
    return tags.astype(np.uint16) if tags.max(initial=0) < 1 << 16 else tags


def _groups(tags: IntArray) -> Iterator[tuple[int, int, int]]:
    """Yields tag, start and end of each stretch of equal tags."""
    bounds = [0, *(np.flatnonzero(tags[1:] != tags[:-1]) + 1).tolist(), len(tags)]
    for start, end in itertools.pairwise(bounds):
        if end > start:
            yield int(tags[start]), start, end
