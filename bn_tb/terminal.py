"""Where reports go: a file, replaced in one step, or standard output."""

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

from bn_tb.errors import UsageError
from bn_tb.reports.safe_text import lines, one_line

if TYPE_CHECKING:
    from bn_tb.reports.report import View

MAX_WIDTH = 140
"""Columns; prose in wider lines is hard to read."""


def write(flags: Any, text: str) -> None:
    """Writes a report to where the flags say."""
    if flags.output:
        write_file(flags.output, text)
        if not flags.quiet:
            note(f"report written to {flags.output}")
    else:
        write_stdout(text)


def view(flags: Any) -> "View":
    """Returns what the place where the report goes can show."""
    from bn_tb.reports.report import View

    to_file = bool(flags.output)
    width = shutil.get_terminal_size().columns
    return View(
        width=min(max(width, 40), MAX_WIDTH),
        colour=flags.format == "text" and not to_file and shows_colour(),
        unicode=to_file or shows_unicode(),
        verbose=flags.verbose,
        columns=tuple(flags.columns),
        group_by=flags.group_by or "",
    )


def write_file(path: str, text: str) -> None:
    """Writes a file as UTF-8 such that a reader sees the old one or the new one, never a part.

    Raises:
      UsageError: The file cannot be written.
    """
    target = os.path.realpath(path)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "w", encoding="utf-8", newline="\n") as device:  # /dev/stdout, a pipe
                device.write(text)
            return
        partial = f"{target}.{os.urandom(4).hex()}.part"
        try:
            with open(partial, "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.replace(partial, target)
        finally:
            if os.path.exists(partial):
                os.remove(partial)
    except OSError as error:
        raise UsageError(f"{path}: cannot write the report: {error.strerror}") from None


def write_stdout(text: str) -> bool:
    """Writes to standard output; a reader that went away is no error.

    Returns:
      Whether there is still a reader.

    Raises:
      UsageError: Nothing more can be written, as on a full disk.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that cp1252 does not have
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe: or exit prints an error.
        _to_nowhere(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise UsageError(f"standard output: {error.strerror}") from None
        return False
    return True


def note(text: str) -> None:
    """Writes a line for people to standard error; it may hold names of files."""
    _write_stderr(f"bn_tb: {one_line(text)}\n")


def note_bug() -> None:
    """Writes the traceback of what was raised, which may quote logs, and what to do with it."""
    import traceback  # needed by nobody else

    _write_stderr("".join(f"{line}\n" for line in lines(traceback.format_exc().rstrip())))
    note("this is a bug in bn_tb, not a finding; please report it with the lines above")


def _write_stderr(text: str) -> None:
    """Writes what the exit status does not hang on: on a full disk it is lost, and no more."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _to_nowhere(sys.stderr)


def _to_nowhere(stream: TextIO) -> None:
    """Lets what a stream still holds go at exit, where Python would say that it cannot."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def shows_colour() -> bool:
    """Returns whether standard output shows ANSI colours: https://no-color.org and rich's rules."""
    if not (sys.stdout.isatty() or "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ):
        return False  # without importing rich
    from rich.console import Console

    console = Console(file=sys.stdout)
    return console.color_system is not None and not console.no_color and not console.legacy_windows


def shows_unicode() -> bool:
    """Returns whether standard output can encode curves and arrows."""
    try:
        "▁█→…".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
