"""Event files of snapshots, with TensorBoard's record writer, or with a writer of the user's."""

import itertools
import os
import time
from typing import Any, Protocol

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from bn_tb.monitor.history import Snapshot
from bn_tb.runs.series import FloatArray

_numbers = itertools.count()
_BUCKETS = 30  # as many as TensorFlow 2 writes


class Log(Protocol):
    """Where snapshots go."""

    def write(self, snapshot: Snapshot) -> None:
        """Writes one."""

    def close(self) -> None:
        """Writes what is left."""


class EventLog:
    """An event file in a folder of its own; TensorFlow is not imported for it."""

    def __init__(self, logdir: str) -> None:
        os.makedirs(logdir, exist_ok=True)
        host = os.uname().nodename if hasattr(os, "uname") else "host"
        name = f"events.out.tfevents.{int(time.time())}.{host}.{os.getpid()}.{next(_numbers)}"
        self._file = open(os.path.join(logdir, f"{name}.bn_tb"), "xb")  # noqa: SIM115
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, snapshot: Snapshot) -> None:
        """Writes one snapshot and flushes, so that TensorBoard and bn_tb can follow."""
        values = [
            Summary.Value(tag=tag, histo=_histogram(values))
            for tag, values in snapshot.histograms.items()
        ]
        values += [
            Summary.Value(tag=tag, simple_value=value) for tag, value in snapshot.scalars.items()
        ]
        summary = Summary(value=values)
        self._write(Event(wall_time=snapshot.wall_time, step=snapshot.step, summary=summary))

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
        self._records.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class SummaryWriterLog:
    """A torch or tensorboardX SummaryWriter that the user passed in; closing it is the user's."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, snapshot: Snapshot) -> None:
        """Writes one snapshot; the writer refuses histograms of nothing but NaN."""
        for tag, values in snapshot.histograms.items():
            if np.isfinite(values).any():
                self._writer.add_histogram(tag, values, snapshot.step)
        for tag, value in snapshot.scalars.items():
            self._writer.add_scalar(tag, value, snapshot.step)
        self._writer.flush()

    def close(self) -> None:
        """Leaves the writer open."""


def log_of(place: Any) -> Log:
    """Returns the log for a folder or a SummaryWriter."""
    if isinstance(place, (str, os.PathLike)):
        return EventLog(os.fspath(place))
    return SummaryWriterLog(place)


def _histogram(values: FloatArray) -> HistogramProto:
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite if finite.size else np.zeros(1), _BUCKETS)
    if finite.size and finite.min() == finite.max():
        counts, edges = np.array([finite.size]), np.array([finite[0], finite[0]])
    return HistogramProto(
        min=float(values.min()),
        max=float(values.max()),
        num=float(values.size),
        sum=float(values.sum()),
        sum_squares=float(values @ values),
        bucket_limit=edges[1:].tolist(),
        bucket=(counts if finite.size else 0 * counts).tolist(),
    )
