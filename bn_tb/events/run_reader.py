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
from bn_tb.events.fields import BoolArray
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
        self._graphs: list[GraphSource] = []
        self._hyperparameters: dict[str, Value] = {}
        self._graph_digests: set[bytes] = set()
        self._graph_bytes = self._graphs_left_out = 0
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

    def take_whole(self, file: EventFile, batch: Batch, table: TagTable, run: int) -> None:
        """Takes the first file of the run, decoded as one run of another table of tags."""
        self._files[file.path] = file
        batch.tags = self._table.adopt(table, run, batch.tags)
        self._add(file, batch, fresh=True)

    def _take(self, file: EventFile, window: Window) -> None:
        batch = decode(window, self._table)
        file.note(batch.problem(window))
        self._add(file, batch, fresh=window.offset == 0)

    def _add(self, file: EventFile, batch: Batch, fresh: bool) -> None:
        good = np.ones(len(batch.steps), bool)
        good[list(batch.bad)] = False
        self._take_sessions(file, batch, good, fresh)
        for event, source in sorted(batch.graphs, key=lambda graph: graph[0]):
            if good[event]:
                self._add_graph(source)
        for event, about in batch.hyperparameters:
            if good[event] and len(self._hyperparameters) < hyperparameters.MOST:
                self._hyperparameters.update(hyperparameters.decode(about))
        self._add_scalars(batch, good)
        self._add_histograms(batch, good)
        steps = batch.steps[batch.valued & good]
        if len(steps):
            low, high = self._step_range or (int(steps[0]), int(steps[0]))
            self._step_range = min(low, int(steps.min())), max(high, int(steps.max()))

    def _take_sessions(self, file: EventFile, batch: Batch, good: BoolArray, fresh: bool) -> None:
        """Notes where writers start, and the first step that each of them writes."""
        valued = np.flatnonzero(batch.valued & good)
        starts = [start for start in batch.starts if good[start]]
        if fresh and good.any():
            starts.insert(0, int(np.argmax(good)))
        for start, end in zip([-1, *starts], [*starts, len(good)], strict=True):
            last = self._sessions[-1] if self._sessions else None
            if start >= 0 and not (last and last.path == file.path and last.step is None):
                last = Session(file.path, float(batch.wall_times[start]), None)
                self._sessions.append(last)
            first = int(np.searchsorted(valued, max(start, 0)))
            if last and last.step is None and first < len(valued) and valued[first] < end:
                step = int(batch.steps[valued[first]])
                self._sessions[-1] = dataclasses.replace(last, step=step)

    def _add_graph(self, source: GraphSource) -> None:
        digest = hashlib.blake2b(source.data, digest_size=16).digest() + source.kind.encode()
        size = self._graph_bytes + len(source.data)
        if digest in self._graph_digests:
            return
        if self._graphs and (size > _MAX_GRAPH_BYTES or len(self._graphs) == _MAX_GRAPHS):
            self._graphs_left_out += 1
            return
        self._graph_digests.add(digest)
        self._graph_bytes = size
        self._graphs.append(source)

    def _add_scalars(self, batch: Batch, good: BoolArray) -> None:
        if not batch.scalars:
            return
        value, numbers = (np.concatenate(column) for column in zip(*batch.scalars, strict=True))
        order = _written_order(value, batch, good)
        numbers = numbers[order]
        columns = {"identity": numbers.view(np.uint64), "measures": numbers[:, None]}
        self._scalars.add(_located(value[order], batch) | columns)

    def _add_histograms(self, batch: Batch, good: BoolArray) -> None:
        if not batch.histograms:
            return
        for rows in batch.histograms:
            if not rows.exact:
                self._inexact.update(distinct(batch.tags[rows.index]).tolist())
        value = np.concatenate([rows.index for rows in batch.histograms])
        order = _written_order(value, batch, good)
        columns = {
            "identity": np.concatenate([rows.identity for rows in batch.histograms])[order],
            "measures": np.concatenate([rows.moments for rows in batch.histograms])[order],
            "bands": np.concatenate([rows.bands for rows in batch.histograms])[order],
        }
        self._histograms.add(_located(value[order], batch) | columns)

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
                names[tag]: ScalarSeries(
                    columns["step"], columns["wall_time"], columns["measures"][0], thinned
                )
                for tag, columns, thinned in self._scalars.series()
            },
            histograms={
                names[tag]: _histogram_series(columns, tag not in self._inexact, thinned)
                for tag, columns, thinned in self._histograms.series()
            },
            graphs=tuple(self._graphs),
            graphs_left_out=self._graphs_left_out,
            sessions=tuple(self._sessions),
            first_step=first,
            last_step=last,
            all_tags=tuple(names),
            hyperparameters=dict(self._hyperparameters),
        )


def _written_order(value: IntArray, batch: Batch, good: BoolArray) -> IntArray:
    """Returns the order in which values were written, without those of events left out."""
    order = np.argsort(value)
    written: IntArray = order[good[batch.events[value[order]]]]
    return written


def _located(value: IntArray, batch: Batch) -> Columns:
    event = batch.events[value]
    return {
        "tag": batch.tags[value],
        "step": batch.steps[event],
        "wall_time": batch.wall_times[event],
    }


def _histogram_series(
    columns: Mapping[str, npt.NDArray[Any]], exact: bool, thinned: bool
) -> HistogramSeries:
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
