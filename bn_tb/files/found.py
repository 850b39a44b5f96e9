"""What is known of a file before it is read, and how a range of it is asked for."""

import dataclasses
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

Wanted = Callable[[str], bool]
"""Whether a file of this name, without its folder, is of interest."""


@dataclasses.dataclass(frozen=True)
class FoundFile:
    """A file as it was when somebody looked.

    Attributes:
      path: Path or URL, as it can be opened.
      size: Bytes.
      mark: Changes whenever the content does: modification time, ETag or generation.
    """

    path: str
    size: int = 0
    mark: str = ""


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder with files of interest, or one that nobody can look into.

    Attributes:
      name: Relative to where the search began, with `/`; `.` for that place itself.
      path: Path or URL.
      files: In order of their names.
      problem: Why the folder cannot be looked into, or an empty string.
    """

    name: str
    path: str
    files: tuple[FoundFile, ...] = ()
    problem: str = ""


class RangeFile(Protocol):
    """An open file of which ranges are read; a context manager that closes it."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Returns the bytes from `offset` on, fewer than `length` only where the file ends.

        Raises:
          OSError: They cannot be read.
        """

    def __enter__(self) -> "RangeFile":
        """Returns itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file."""
