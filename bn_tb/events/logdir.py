"""Which runs a logdir holds, which files, in which order; bytes to Run."""

import os
from collections.abc import Iterable, Iterator

import numpy as np

from bn_tb import tags
from bn_tb.errors import UsageError
from bn_tb.events import event_file, histogram, tensor, wire
from bn_tb.events.experiment import experiment_of
from bn_tb.run import FileReport, GraphSource, Run, Session
from bn_tb.series import HistogramSeries, ScalarSeries

_GRAPH_PLUGINS = {
    "graph_run_metadata": "tagged_run_metadata",
    "graph_run_metadata_graph": "run_metadata",
    "graph_keras_model": "keras_model",
}


def read_logdir(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    patterns: tags.TagPatterns = tags.TagPatterns(),
) -> Iterator[Run]:
    """Reads the runs of one or several logdirs, one run at a time.

    Runs of one experiment (see `experiment_of`) follow each other, so that
    `events.experiment.by_experiment` can group them without holding the others in memory.

    Args:
      paths: Folders, searched recursively as TensorBoard does, or single event files.
      patterns: Names of statistics taught by the user.

    Yields:
      One Run per folder that holds event files; experiments in alphabetical order.

    Raises:
      UsageError: A path does not exist.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    for path in [os.fspath(path) for path in paths]:
        if not os.path.exists(path):
            raise UsageError(f"{path}: no such file or folder")
        found = find_runs(path)
        for name in sorted(found, key=lambda name: (experiment_of(name)[0], name)):
            yield _read_run(name, path, found[name], patterns)


def find_runs(logdir: str) -> dict[str, list[str]]:
    """Returns the event files of each run by the run's name, files in order of their names."""
    if os.path.isfile(logdir):
        return {".": [logdir]}
    runs = {}
    for folder, _, names in os.walk(logdir, followlinks=True):
        files = [name for name in sorted(names) if is_event_file(name)]
        if files:
            run = os.path.relpath(folder, logdir).replace(os.sep, "/")
            runs[run] = [os.path.join(folder, name) for name in files]
    return runs


def is_event_file(name: str) -> bool:
    """Returns whether TensorBoard takes a file of this name for an event file."""
    return "tfevents" in os.path.basename(name) and not name.endswith(".profile-empty")


def _read_run(name: str, logdir: str, paths: list[str], patterns: tags.TagPatterns) -> Run:
    builder = _RunBuilder(patterns)
    reports = []
    for path in paths:
        builder.start_file(path)
        reports.append(event_file.read_file(path, builder.take))
    return builder.run(name, logdir, tuple(reports))


class _RunBuilder:
    """Collects the events of one run."""

    def __init__(self, patterns: tags.TagPatterns) -> None:
        self._patterns = patterns
        self._path = ""
        self._fresh = False
        self._parsed: dict[str, tags.ParsedTag | None] = {}
        self._plugins: dict[str, str] = {}
        self._scalars: dict[str, list[tuple[int, float, float]]] = {}
        self._histograms: dict[str, list[tuple[int, float, histogram.Buckets, bytes]]] = {}
        self._graphs: list[GraphSource] = []
        self._sessions: list[Session] = []

    def start_file(self, path: str) -> None:
        self._path, self._fresh = path, True

    def take(self, event: event_file.Event) -> None:
        if self._fresh or event.session_start:
            if not (event.session_start and self._sessions and self._sessions[-1].step is None):
                self._sessions.append(Session(self._path, event.wall_time, None))
            self._fresh = False
        elif self._sessions[-1].step is None and event.values:
            last = self._sessions[-1]
            self._sessions[-1] = Session(last.path, last.wall_time, event.step)
        for kind, data in event.graphs:
            self._graphs.append(GraphSource(kind, "", event.step, data))
        for value in event.values:
            self._take_value(event, value)

    def _take_value(  # noqa: C901 (replaced by the vectorised reader)
        self, event: event_file.Event, value: event_file.Value
    ) -> None:
        plugin = self._plugins.setdefault(value.tag, value.plugin)
        if value.tag not in self._parsed:
            self._parsed[value.tag] = tags.parse_tag(value.tag, self._patterns)
        payload, scalar = value.payload, None
        if value.kind == "scalar" and isinstance(payload, float):
            scalar = payload
        elif not isinstance(payload, bytes):
            raise wire.DecodeError(f"value of tag {value.tag!r} has the wrong type")
        elif value.kind == "histo" and self._parsed[value.tag]:
            self._add_histogram(event, value.tag, histogram.from_proto(payload), payload)
        elif value.kind == "tensor" and plugin == "histograms" and self._parsed[value.tag]:
            self._add_histogram(event, value.tag, histogram.from_tensor(payload), payload)
        elif value.kind == "tensor" and plugin in _GRAPH_PLUGINS:
            for data in tensor.decode_strings(payload):
                source = GraphSource(_GRAPH_PLUGINS[plugin], value.tag, event.step, data)
                self._graphs.append(source)
        elif value.kind == "tensor" and plugin == "scalars":
            scalar = float(tensor.decode(payload).reshape(-1)[0])
        if scalar is not None:
            self._scalars.setdefault(value.tag, []).append((event.step, event.wall_time, scalar))
            parsed = self._parsed[value.tag]
            if parsed and parsed.role in tags.STATISTICS:
                self._add_histogram(
                    event, value.tag, histogram.from_scalar(scalar), np.float64(scalar).tobytes()
                )

    def _add_histogram(
        self, event: event_file.Event, tag: str, buckets: histogram.Buckets, identity: bytes
    ) -> None:
        row = (event.step, event.wall_time, buckets, identity)
        self._histograms.setdefault(tag, []).append(row)

    def run(self, name: str, logdir: str, files: tuple[FileReport, ...]) -> Run:
        series = [*self._scalars.values(), *self._histograms.values()]
        steps = [row[0] for rows in series for row in rows]  # type: ignore[attr-defined]
        return Run(
            name=name,
            logdir=logdir,
            files=files,
            scalars={tag: _scalar_series(rows) for tag, rows in self._scalars.items()},
            histograms={
                tag: self._histogram_series(tag, rows) for tag, rows in self._histograms.items()
            },
            graphs=tuple(self._graphs),
            sessions=tuple(self._sessions),
            first_step=min(steps, default=None),
            last_step=max(steps, default=None),
            all_tags=tuple(self._parsed),
        )

    def _histogram_series(
        self, tag: str, rows: list[tuple[int, float, histogram.Buckets, bytes]]
    ) -> HistogramSeries:
        parsed = self._parsed[tag]
        buckets = [row[2] for row in rows]
        empty = np.full(9, np.nan, np.float32)
        wanted = parsed is not None and parsed.role in tags.STATISTICS
        return HistogramSeries(
            steps=np.array([row[0] for row in rows], np.int64),
            wall_times=np.array([row[1] for row in rows]),
            minimum=np.array([b.minimum for b in buckets]),
            maximum=np.array([b.maximum for b in buckets]),
            count=np.array([b.count for b in buckets]),
            total=np.array([b.total for b in buckets]),
            sum_squares=np.array([b.sum_squares for b in buckets]),
            bands=np.stack([histogram.bands(b) if wanted else empty for b in buckets]),
            identity=np.array([hash(row[3]) & 0xFFFFFFFFFFFFFFFF for row in rows], np.uint64),
            exact_moments=all(b.exact_moments for b in buckets),
        )


def _scalar_series(rows: list[tuple[int, float, float]]) -> ScalarSeries:
    return ScalarSeries(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]),
    )
