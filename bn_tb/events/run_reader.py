"""The event files of one run, read and read on, to a Run."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.events import hyperparameters
from bn_tb.events.event_batch import Batch, decode
from bn_tb.events.event_file import EventFile, ReplacedError
from bn_tb.events.points import Columns, PointLog
from bn_tb.events.tag_table import TagTable
from bn_tb.events.tf_record import Problem, Window
from bn_tb.files.found import FoundFile
from bn_tb.runs import tags
from bn_tb.runs.hyperparameters import Value
from bn_tb.runs.run import FileReport, GraphSource, Run, Session
from bn_tb.runs.series import HistogramSeries, IntArray, ScalarSeries, distinct

MAX_POINTS = 400_000
"""Histogram points held for one experiment: 150 bytes each, twice that while being sorted."""

_MAX_GRAPH_BYTES = 1 << 26  # of one run; a GraphDef of a large network has about ten million
_MAX_GRAPHS = 1 << 9  # of one run, different ones; programs write one to ten


class Graphs:
    """The graphs of a run, each once, as many as a run may hold."""

    def __init__(self) -> None:
        self.kept: list[GraphSource] = []
        self.left_out = 0
        self._digests: set[bytes] = set()
        self._bytes = 0

    def add(self, source: GraphSource) -> None:
        """Takes a graph unless it is known, or too much."""
        digest = hashlib.blake2b(source.data, digest_size=16).digest() + source.kind.encode()
        size = self._bytes + len(source.data)
        if digest in self._digests:
            return
        if self.kept and (size > _MAX_GRAPH_BYTES or len(self.kept) == _MAX_GRAPHS):
            self.left_out += 1
            return
        self._digests.add(digest)
        self._bytes = size
        self.kept.append(source)


class RunReader:
    """Reads the event files of one run; each call of `read` goes on where the last one stopped."""

    def __init__(
        self,
        name: str,
        logdir: str,
        patterns: tags.TagPatterns = tags.TagPatterns(),
        max_points: int = MAX_POINTS,
    ) -> None:
        self.name, self.logdir = name, logdir
        self._patterns, self._max_points = patterns, max_points
        self._forget()

    def _forget(self) -> None:
        self._files: dict[str, EventFile] = {}
        self._table = TagTable(self._patterns)
        self._scalars = PointLog(self._max_points)
        self._histograms = PointLog(self._max_points)
        self._inexact: set[int] = set()
        self._graphs = Graphs()
        self._hyperparameters: dict[str, Value] = {}
        self._sessions: list[Session] = []
        self._step_range: tuple[int, int] | None = None

    def read(
        self, found: Sequence[FoundFile], progress: Callable[[int], None] | None = None
    ) -> tuple[FileReport, ...]:
        """Reads what is new in these files.

        Args:
          found: All event files of the run, in order. If one vanished or was replaced, the whole
            run is read afresh.
          progress: Called with the number of bytes read, some times a second.

        Returns:
          What became of each file; equal to that of the last call if nothing is new.
        """
        if not {file.path for file in found} >= set(self._files):
            self._forget()
        try:
            return self._read(found, progress)
        except ReplacedError:
            self._forget()
            return self._read(found, progress)

    def limit(self, max_points: int) -> None:
        """Sets how many points to hold from now on."""
        self._max_points = self._scalars.max_points = self._histograms.max_points = max_points

    def refuse(self, path: str, reason: str) -> tuple[FileReport, ...]:
        """Notes that the folder of the run cannot be listed."""
        self._forget()
        self._files[path] = EventFile(
            FoundFile(path), _stop=Problem("not_event_file", None, reason)
        )
        return (self._files[path].report(),)

    def _read(
        self, found: Sequence[FoundFile], progress: Callable[[int], None] | None
    ) -> tuple[FileReport, ...]:
        for each in found:
            file = self._files.setdefault(each.path, EventFile(each))
            file.found, before = each, file.offset
            for window in file.windows():
                self._take(file, window)
                if progress is not None:
                    progress(file.offset - before)
                before = file.offset
        return tuple(self._files[each.path].report() for each in found)

    def _take(self, file: EventFile, window: Window) -> None:
        batch = decode(window, self._table)
        file.note(batch.problem(window))
        self._add(file, batch, fresh=window.offset == 0)

    def _add(self, file: EventFile, batch: Batch, fresh: bool) -> None:
        good = batch.good()
        note_sessions(self._sessions, file.path, batch, fresh)
        for event, source in sorted(batch.graphs, key=lambda graph: graph[0]):
            if good[event]:
                self._graphs.add(source)
        for event, about in batch.hyperparameters:
            if good[event]:
                note_hyperparameters(self._hyperparameters, about)
        if batch.scalars:
            self._scalars.add(scalar_points(batch))
        if batch.histograms:
            self._inexact |= inexact_tags(batch)
            self._histograms.add(histogram_points(batch))
        steps = batch.steps[batch.valued & good]
        if len(steps):
            low, high = self._step_range or (int(steps[0]), int(steps[0]))
            self._step_range = min(low, int(steps.min())), max(high, int(steps.max()))

    def compact(self) -> "RunReader":
        """Returns itself after making it small to pickle."""
        self._scalars.merge()
        self._histograms.merge()
        return self

    def run(self) -> Run:
        """Returns the run as read so far."""
        names = [tag.name for tag in self._table.tags]
        first, last = self._step_range or (None, None)
        return Run(
            name=self.name,
            logdir=self.logdir,
            files=tuple(file.report() for file in self._files.values()),
            scalars={
                names[tag]: scalar_series(columns, thinned)
                for tag, columns, thinned in self._scalars.series()
            },
            histograms={
                names[tag]: histogram_series(columns, tag not in self._inexact, thinned)
                for tag, columns, thinned in self._histograms.series()
            },
            graphs=tuple(self._graphs.kept),
            graphs_left_out=self._graphs.left_out,
            sessions=tuple(self._sessions),
            first_step=first,
            last_step=last,
            all_tags=tuple(names),
            hyperparameters=dict(self._hyperparameters),
        )


def note_sessions(sessions: list[Session], path: str, batch: Batch, fresh: bool) -> list[Session]:
    """Notes where writers start, and the first step that each of them writes.

    Args:
      sessions: Those of the run so far.
      path: The event file.
      batch: The next events of the file.
      fresh: Whether they are the first ones of the file.

    Returns:
      The sessions.
    """
    good = batch.good()
    valued = np.flatnonzero(batch.valued & good)
    starts = [start for start in batch.starts if good[start]]
    if fresh and good.any():
        starts.insert(0, int(np.argmax(good)))
    for start, end in zip([-1, *starts], [*starts, len(good)], strict=True):
        last = sessions[-1] if sessions else None
        if start >= 0 and not (last and last.path == path and last.step is None):
            last = Session(path, float(batch.wall_times[start]), None)
            sessions.append(last)
        first = int(np.searchsorted(valued, max(start, 0)))
        if last and last.step is None and first < len(valued) and valued[first] < end:
            step = int(batch.steps[valued[first]])
            sessions[-1] = dataclasses.replace(last, step=step)
    return sessions


def note_hyperparameters(noted: dict[str, Value], about: bytes) -> None:
    """Adds the hyperparameters in some metadata, as long as a run has room for them."""
    if len(noted) < hyperparameters.MOST:
        noted.update(hyperparameters.decode(about))


def scalar_points(batch: Batch) -> Columns:
    """Returns the scalars of a batch in the order written, without those of events left out."""
    value, numbers = (np.concatenate(column) for column in zip(*batch.scalars, strict=True))
    order = _written_order(value, batch)
    numbers = numbers[order]
    columns = {"identity": numbers.view(np.uint64), "measures": numbers[:, None]}
    return _located(value[order], batch) | columns


def histogram_points(batch: Batch) -> Columns:
    """Returns the histograms of a batch, as `scalar_points` does the scalars."""
    value = np.concatenate([rows.index for rows in batch.histograms])
    order = _written_order(value, batch)
    columns = {
        name: np.concatenate(column).take(order, axis=0)
        for name, column in (
            ("identity", [rows.identity for rows in batch.histograms]),
            ("measures", [rows.moments for rows in batch.histograms]),
            ("bands", [rows.bands for rows in batch.histograms]),
        )
    }
    return _located(value[order], batch) | columns


def inexact_tags(batch: Batch) -> set[int]:
    """Returns the tags of histograms whose moments were computed from buckets."""
    inexact = [batch.tags[rows.index] for rows in batch.histograms if not rows.exact]
    return set(distinct(np.concatenate(inexact)).tolist()) if inexact else set()


def _written_order(value: IntArray, batch: Batch) -> IntArray:
    """Returns the order in which values were written, without those of events left out."""
    order = np.argsort(value)
    if not batch.bad:
        return order
    written: IntArray = order[batch.good()[batch.events[value[order]]]]
    return written


def _located(value: IntArray, batch: Batch) -> Columns:
    event = batch.events[value]
    return {
        "tag": batch.tags[value],
        "step": batch.steps[event],
        "wall_time": batch.wall_times[event],
    }


def scalar_series(columns: Mapping[str, npt.NDArray[Any]], thinned: bool) -> ScalarSeries:
    """Returns the series of a tag in a `PointLog`."""
    return ScalarSeries(columns["step"], columns["wall_time"], columns["measures"][0], thinned)


def histogram_series(
    columns: Mapping[str, npt.NDArray[Any]], exact: bool, thinned: bool
) -> HistogramSeries:
    """Returns the series of a tag in a `PointLog`."""
    minimum, maximum, count, total, sum_squares = columns["measures"]
    return HistogramSeries(
        steps=columns["step"],
        wall_times=columns["wall_time"],
        minimum=minimum,
        maximum=maximum,
        count=count,
        total=total,
        sum_squares=sum_squares,
        bands=columns["bands"],
        identity=columns["identity"],
        exact_moments=exact,
        thinned=thinned,
    )
