"""Event files of TensorFlow 1 that tell when they cannot be written, as on a full disk.

TensorFlow's writer goes on after a record that the disk did not take: `WriteRecord(...)
.IgnoreError()` in
https://github.com/tensorflow/tensorflow/blob/v2.16.1/tensorflow/core/util/events_writer.cc. So what
is in the file is counted after each flush.
"""

import contextlib
import logging
import pathlib
import re
import threading
from collections.abc import Iterator
from typing import Any

from bn_tb.errors import UsageError
from bn_tb.events.event_file import EventFile
from bn_tb.files.found import FoundFile
from bn_tb.training.tf1 import tf

_REASON = re.compile(r"; ([^;\n]+)")  # PATH; No space left on device, and what that cost


class EventWriter:
    """The writer of one run folder, which holds no other event file."""

    def __init__(self, folder: pathlib.Path, *graph: Any) -> None:
        """Opens an event file; it begins with the graph, if there is one.

        Raises:
          UsageError: It cannot be written.
        """
        self._folder = folder
        self._written = 2 * len(graph)  # the graph, and its MetaGraph
        self._file: EventFile | None = None
        with self._told():
            self._writer = tf.summary.FileWriter(str(folder), *graph)
        self.flush()

    def add_summary(self, summary: Any, step: int | None = None) -> None:
        """Adds a `tf.Summary`, or the bytes of one, at a step.

        Raises:
          UsageError: Something before it could not be written.
        """
        self._written += 1
        with self._told():
            self._writer.add_summary(summary, step)

    def flush(self) -> None:
        """Writes everything.

        Raises:
          UsageError: It is not in the file.
        """
        with self._told():
            self._writer.flush()
        self._count()

    def close(self) -> None:
        """Writes everything, and closes the file; see `flush`."""
        with self._told():
            self._writer.close()
        self._count()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, OSError, tf.errors.OpError) as error:
            raise self._error(reason_of(error)) from None

    def _count(self) -> None:
        """Compares the records in the file with those that were written."""
        if not self._written:
            return
        for path in self._folder.glob("*tfevents*") if self._file is None else ():
            self._file = EventFile(FoundFile(str(path)))
        for _ in self._file.windows() if self._file else ():
            pass
        if self._file is None or self._file.records <= self._written:  # the first: its version
            raise self._error("not everything that was written is in it; is the disk full?")

    def _error(self, reason: str) -> UsageError:
        return UsageError(f"{self._folder}: the event file cannot be written: {reason}")


def reason_of(error: Exception) -> str:
    """Returns why TensorFlow could not write, without the graph and the paths around it."""
    found = _REASON.search(str(error))
    return found[1] if found else " ".join(str(error).split())


def hush_writer_threads() -> None:
    """Drops what TensorFlow prints of a writer that failed; `EventWriter` raises it."""
    logging.getLogger("tensorflow").addFilter(
        lambda record: not record.getMessage().startswith("EventFileWriter writer thread error")
    )
    others = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != "EventLoggerThread":
            others(failed)

    threading.excepthook = hook
