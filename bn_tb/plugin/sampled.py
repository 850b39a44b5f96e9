"""Runs out of TensorBoard's data layer, for logdirs that only it can read (gs://, s3://).

It keeps a sample of the points (100 or 500 histograms a tag, without the first step). What it has
is written as an event file and read like any other, so that there is one way from bytes to runs.
"""

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from tensorboard import context
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.data import provider
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util

from bn_tb.plugin.logs import Experiment
from bn_tb.runs.experiment import experiment_of
from bn_tb.runs.run import Run
from bn_tb.runs.tags import TagPatterns, parse_tag
from bn_tb.sources.logdir import FoundRun, read_logdir

ALL = 1_000_000  # points; the data layer holds fewer
GRAPHS = "graphs"
RUN_GRAPH = "__run_graph__"


_NOTICE = (
    "This log directory is remote: verdicts rest on the points that TensorBoard sampled,"
    " without the first steps. TensorBoard keeps all with --samples_per_plugin=histograms=0."
)


class DataLayer:
    """Runs as TensorBoard's data provider serves them."""

    def __init__(
        self,
        data: provider.DataProvider,
        logdir: str,
        patterns: TagPatterns = TagPatterns(),
        obstacle: str = "",
    ) -> None:
        """Takes where runs come from, and what the page says of it.

        Args:
          data: TensorBoard's data provider.
          logdir: The name of what it reads.
          patterns: Names of statistics taught by the user.
          obstacle: Why we cannot read the log directory ourselves.
        """
        self.notice = f"{_NOTICE} bn_tb reads every point itself once it can: {obstacle}"
        self._patterns = patterns
        self._data = data
        self._logdir = logdir

    def find(self) -> Mapping[Experiment, Sequence[FoundRun]]:
        """Returns the runs; their size is the last step, so that it changes as they grow."""
        found: dict[Experiment, list[FoundRun]] = {}
        last = self._last_steps()
        for run in self._data.list_runs(context.RequestContext(), experiment_id=""):
            name = run.run_name
            key = (self._logdir, experiment_of(name)[0])
            found.setdefault(key, []).append(FoundRun(name, self._logdir, (), last.get(name, 0)))
        return found

    def _last_steps(self) -> dict[str, int]:
        steps: dict[str, int] = {}
        for listed in (self._tensors(), self._scalars()):
            for run, tags in listed.items():
                steps[run] = max(
                    [steps.get(run, 0), *(series.max_step for series in tags.values())]
                )
        return steps

    def _tensors(self) -> Mapping[str, Mapping[str, provider.TensorTimeSeries]]:
        return self._data.list_tensors(
            context.RequestContext(),
            experiment_id="",
            plugin_name=histogram_metadata.PLUGIN_NAME,
        )

    def _scalars(self) -> Mapping[str, Mapping[str, provider.ScalarTimeSeries]]:
        return self._data.list_scalars(
            context.RequestContext(), experiment_id="", plugin_name="scalars"
        )

    def read(self, runs: Sequence[FoundRun]) -> list[Run]:
        """Reads the runs of one experiment, afresh each time."""
        return [self._read(run) for run in runs]

    def forget(self, runs: Sequence[FoundRun]) -> None:
        """Has nothing to forget."""

    def _read(self, found: FoundRun) -> Run:
        with tempfile.TemporaryDirectory(prefix="bn_tb_") as folder:
            writer = EventFileWriter(folder)
            for event in self._events(found.name):
                writer.add_event(event)
            writer.close()
            (run,) = read_logdir(folder, self._patterns)
        return dataclasses.replace(run, name=found.name, logdir=self._logdir, files=())

    def _events(self, run: str) -> Iterator[event_pb2.Event]:
        yield from self._graphs(run)
        wanted = [tag for tag in self._tensors().get(run, {}) if parse_tag(tag, self._patterns)]
        histograms = self._data.read_tensors(
            context.RequestContext(),
            experiment_id="",
            plugin_name=histogram_metadata.PLUGIN_NAME,
            downsample=ALL,
            run_tag_filter=provider.RunTagFilter([run], wanted),
        )
        for tag, points in histograms.get(run, {}).items():
            metadata = histogram_metadata.create_summary_metadata(tag, None)
            for point in points:
                value = summary_pb2.Summary.Value(
                    tag=tag,
                    tensor=tensor_util.make_tensor_proto(point.numpy),
                    metadata=metadata,
                )
                yield _event(point, value)
        scalars = self._data.read_scalars(
            context.RequestContext(),
            experiment_id="",
            plugin_name="scalars",
            downsample=ALL,
            run_tag_filter=provider.RunTagFilter([run], None),
        )
        for tag, points in scalars.get(run, {}).items():
            for point in points:
                yield _event(point, summary_pb2.Summary.Value(tag=tag, simple_value=point.value))

    def _graphs(self, run: str) -> Iterator[event_pb2.Event]:
        found = self._data.read_blob_sequences(
            context.RequestContext(),
            experiment_id="",
            plugin_name=GRAPHS,
            downsample=1,
            run_tag_filter=provider.RunTagFilter([run], [RUN_GRAPH]),
        )
        for point in found.get(run, {}).get(RUN_GRAPH, ()):
            for blob in point.values:
                data = self._data.read_blob(context.RequestContext(), blob_key=blob.blob_key)
                yield event_pb2.Event(wall_time=point.wall_time, step=point.step, graph_def=data)


def _event(
    point: provider.TensorDatum | provider.ScalarDatum, value: summary_pb2.Summary.Value
) -> event_pb2.Event:
    return event_pb2.Event(
        wall_time=point.wall_time, step=point.step, summary=summary_pb2.Summary(value=[value])
    )
