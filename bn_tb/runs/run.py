"""A run as TensorBoard understands it: one folder of event files and what they hold."""

import dataclasses
from collections.abc import Mapping

from bn_tb.runs.hyperparameters import Values
from bn_tb.runs.series import HistogramSeries, ScalarSeries

FILE_STATUS = ("ok", "truncated", "corrupt", "not_event_file")


POINTER = "a Git LFS pointer, not the file itself: run git lfs pull"
"""Detail of a file that was cloned without Git LFS."""


@dataclasses.dataclass(frozen=True)
class FileReport:
    """What became of one event file or checkpoint.

    Attributes:
      path: The path as given or found, not resolved.
      bytes: Size read, in bytes.
      events: Number of records that were decoded or skipped knowingly; of tensors in a checkpoint.
      status: One of `FILE_STATUS`.
      detail: Empty when ok; else one line: byte offset, what was found, what was expected.
      kind: `events` or `checkpoint`.
    """

    path: str
    bytes: int
    events: int
    status: str
    detail: str = ""
    kind: str = "events"


@dataclasses.dataclass(frozen=True)
class GraphSource:
    """A serialized graph found in a run, not yet decoded.

    Attributes:
      kind: `graph_def`, `meta_graph_def`, `run_metadata` (tf.summary.trace_export),
        `tagged_run_metadata` (TF1 FileWriter.add_run_metadata) or `keras_model` (JSON).
      tag: The summary tag, or an empty string for graphs that are events of their own.
      step: Global step at which it was written.
      data: The serialized proto, or UTF-8 JSON; empty in the run of a diagnosis.
    """

    kind: str
    tag: str
    step: int
    data: bytes


@dataclasses.dataclass(frozen=True)
class Session:
    """The start of a writer: an event file, or a SessionLog START inside one.

    Attributes:
      path: The event file.
      wall_time: Seconds since the epoch.
      step: The step of the first event after the start, or None if nothing followed.
    """

    path: str
    wall_time: float
    step: int | None


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of a run; its tensors are points of the run's histograms.

    Attributes:
      path: The path as found; of a TensorFlow checkpoint its prefix.
      format: Name of its format for people.
      model: What goes before the names of its layers where the run holds several models.
      step: The step of its points.
      counted: Whether steps count updates of the weights, rather than epochs or files.
      optimizer_steps: Steps that its optimizer made, at least, or None if that is not in it.
    """

    path: str
    format: str
    model: str
    step: int
    counted: bool
    optimizer_steps: int | None = None

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.path.replace("\\", "/").rstrip("/").rpartition("/")[2]

    def holds(self, tag: str) -> bool:
        """Returns whether a tag or layer of its run belongs to its model."""
        return not self.model or tag.startswith(f"{self.model}/")


@dataclasses.dataclass(frozen=True)
class Run:
    """All that was read of one run.

    Attributes:
      name: The folder relative to the logdir, with `/`; `.` for the logdir itself.
      logdir: The logdir as given by the caller.
      files: One report per file, in the order read.
      scalars: Scalar tags.
      histograms: Histogram tags that were decoded: statistics and weights (see `tags`). Scalars
        that stand for a statistic are in both mappings.
      graphs: Graph sources in the order written.
      graphs_left_out: Graph sources beyond what the reader holds of one run.
      sessions: Starts of writers in the order written; more than one means a restart.
      first_step: Smallest step of any scalar or histogram, or None.
      last_step: Largest step of any scalar or histogram, or None.
      all_tags: Every tag met, also those that were skipped, at most `events` names.
      hyperparameters: Those of the run itself (see `hyperparameters.spread`), by name.
      checkpoints: Its checkpoints, those of each model in the order of their steps.
      checkpoint_tags: Histogram tags that are tensors of checkpoints.
    """

    name: str
    logdir: str
    files: tuple[FileReport, ...] = ()
    scalars: Mapping[str, ScalarSeries] = dataclasses.field(default_factory=dict)
    histograms: Mapping[str, HistogramSeries] = dataclasses.field(default_factory=dict)
    graphs: tuple[GraphSource, ...] = ()
    graphs_left_out: int = 0
    sessions: tuple[Session, ...] = ()
    first_step: int | None = None
    last_step: int | None = None
    all_tags: tuple[str, ...] = ()
    hyperparameters: Values = dataclasses.field(default_factory=dict)
    checkpoints: tuple[Checkpoint, ...] = ()
    checkpoint_tags: frozenset[str] = frozenset()
