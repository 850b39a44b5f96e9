"""One event file, read window by window from where the last reading stopped."""

import dataclasses
import os
import stat
from collections.abc import Iterator

from bn_tb.events.tf_record import Problem, Window, read_window
from bn_tb.runs.run import FileReport

_HEAD_BYTES = 64  # enough for the first record with its wall time: tells a file from its successor


class ReplacedError(Exception):
    """The file is another one than when it was last read, or shorter."""


@dataclasses.dataclass
class EventFile:
    """Where the reading of a file stands.

    Attributes:
      path: As found.
      offset: Byte at which the next record starts.
      size: Size when last looked at, in bytes.
      records: Records so far.
    """

    path: str
    offset: int = 0
    size: int = 0
    records: int = 0
    _head: bytes = b""
    _changed_ns: int = -1
    _damage: Problem | None = None
    _stop: Problem | None = None

    def windows(self) -> Iterator[Window]:
        """Yields what was appended since the last call; what cannot be read is in `report`.

        Raises:
          ReplacedError: The file has to be read from its start, as another one.
        """
        try:
            found = os.stat(self.path)
            if not stat.S_ISREG(found.st_mode):
                self._stop = Problem(
                    "not_event_file", None, f"is a {_kind(found.st_mode)}, not a file"
                )
            elif (found.st_mtime_ns, found.st_size) != (self._changed_ns, self.size):
                if found.st_size < self.offset:
                    raise ReplacedError
                self._changed_ns, self.size = found.st_mtime_ns, found.st_size
                yield from self._read()
        except OSError as error:
            reason = error.strerror or str(error)
            self._stop = Problem("not_event_file", None, f"cannot be read: {reason}")
            self._changed_ns = -1

    def read_whole(self) -> bytes:
        """Returns the content of a file of which nothing was read yet.

        Raises:
          OSError: It cannot be read, is no regular file, or changes while it is read.
        """
        found = os.stat(self.path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("not a file")
        with open(self.path, "rb", buffering=0) as file:
            data = file.read(found.st_size)
        if len(data) < found.st_size:
            raise OSError("became shorter")
        self._changed_ns, self.size = found.st_mtime_ns, found.st_size
        self._head, self.offset = data[:_HEAD_BYTES], len(data)
        return data

    def _read(self) -> Iterator[Window]:
        with open(self.path, "rb", buffering=0) as file:
            head = file.read(_HEAD_BYTES)
            if not head.startswith(self._head):
                raise ReplacedError
            self._head = head
            if self._stop is not None and self._stop.status == "corrupt":
                return  # nothing can be found behind a bad length
            self._stop = None
            while self._stop is None and self.offset < self.size:
                window = read_window(file, self.offset, self.size)
                self.offset = window.next_offset
                self.records += window.records
                self._stop = window.stop
                self.note(window.damage)
                yield window

    def note(self, damage: Problem | None) -> None:
        """Takes a record that was left out; the first one is reported."""
        self._damage = self._damage or damage

    def report(self) -> FileReport:
        """Returns what became of the file so far."""
        problem = self._damage or self._stop
        if problem is None and self.size == 0:
            problem = Problem("truncated", None, "empty file")
        if problem is None:
            return FileReport(self.path, self.size, self.records, "ok")
        return FileReport(self.path, self.size, self.records, problem.status, str(problem))


def _kind(mode: int) -> str:
    names = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return names.get(stat.S_IFMT(mode), "device")
