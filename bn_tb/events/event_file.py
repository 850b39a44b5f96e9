"""One event file, read window by window from where the last reading stopped."""

import dataclasses
from collections.abc import Iterator

from bn_tb.events.tf_record import Problem, Window, read_window
from bn_tb.files import place
from bn_tb.files.found import FoundFile, RangeFile
from bn_tb.files.local import NotAFileError
from bn_tb.runs.run import FileReport

_HEAD_BYTES = 64  # enough for the first record with its wall time: tells a file from its successor


class ReplacedError(Exception):
    """The file is another one than when it was last read, or shorter."""


@dataclasses.dataclass
class EventFile:
    """Where the reading of a file stands.

    Attributes:
      found: As it was when last looked at.
      offset: Byte at which the next record starts.
      records: Records so far.
    """

    found: FoundFile
    offset: int = 0
    records: int = 0
    _head: bytes = b""
    _read_at: FoundFile | None = None
    _damage: Problem | None = None
    _stop: Problem | None = None

    @property
    def path(self) -> str:
        """As found."""
        return self.found.path

    @property
    def size(self) -> int:
        """Size when last looked at, in bytes."""
        return self.found.size

    def windows(self) -> Iterator[Window]:
        """Yields what was appended since the last call; what cannot be read is in `report`.

        Raises:
          ReplacedError: The file has to be read from its start, as another one.
        """
        try:
            found = place.look(self.found)
            if found != self._read_at:
                if found.size < self.offset:
                    raise ReplacedError
                self.found = self._read_at = found
                with place.open_file(found) as file:
                    yield from self._read(file)
        except NotAFileError as error:
            self._stop, self._read_at = Problem("not_event_file", None, str(error)), None
        except OSError as error:
            reason = error.strerror or str(error)
            self._stop = Problem("not_event_file", None, f"cannot be read: {reason}")
            self._read_at = None

    def _read(self, file: RangeFile) -> Iterator[Window]:
        head = file.read(0, _HEAD_BYTES)
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
        """Takes records that were left out; the first one is reported, with their number."""
        if self._damage and damage:
            records = self._damage.records + damage.records
            self._damage = dataclasses.replace(self._damage, records=records)
        self._damage = self._damage or damage

    def report(self) -> FileReport:
        """Returns what became of the file so far."""
        problem = self._damage or self._stop
        if problem is None and self.size == 0:
            problem = Problem("truncated", None, "empty file")
        if problem is None:
            return FileReport(self.path, self.size, self.records, "ok")
        return FileReport(self.path, self.size, self.records, problem.status, str(problem))
