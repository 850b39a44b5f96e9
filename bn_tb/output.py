"""Where reports go: a file, replaced in one step, or standard output."""

import io
import os
import sys

from bn_tb.errors import UsageError


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
        partial = f"{target}.{os.getpid()}.part"
        try:
            with open(partial, "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.replace(partial, target)
        finally:
            if os.path.exists(partial):
                os.remove(partial)
    except OSError as error:
        raise UsageError(f"{path}: cannot write the report: {error.strerror}") from None


def write_stdout(text: str) -> None:
    """Writes to standard output; a reader that went away is no error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that cp1252 does not have
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe: or exit prints an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """Writes a line for people to standard error."""
    print(f"bn_tb: {text}", file=sys.stderr)


def shows_colour() -> bool:
    """Returns whether standard output shows ANSI colours: https://no-color.org and rich's rules."""
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
