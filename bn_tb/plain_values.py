"""Plain values from files that users write: read in bounds, checked, shown in one line."""

import json
import math
import reprlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from bn_tb.errors import UsageError

_Kind = TypeVar("_Kind")

LARGEST_FILE = 64 << 20
"""Bytes; a baseline of 100,000 findings has 30 MB. `/dev/zero` ends nowhere."""
LONGEST_SHOWN = 60
"""Characters of a text that a message quotes."""


class _Short(reprlib.Repr):
    """Shows the begin and the end of what is long, and nothing of what is deep."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = LONGEST_SHOWN
        self.maxlevel = 2

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python turns no integer of over 4,300 digits into text
            return "an integer of thousands of digits"


shown = _Short().repr
"""Returns a value as an error message shows it: short, whatever it is."""


def read(path: str) -> str:
    """Returns the text of a file.

    Raises:
      OSError: It cannot be read, or is longer than `LARGEST_FILE`.
      ValueError: It is not UTF-8, or the path is no path.
    """
    with open(path, "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(0, f"longer than {LARGEST_FILE >> 20} MB")
    return data.decode("utf-8")


def json_of(text: str) -> Any:
    """Returns a JSON document.

    Raises:
      ValueError: It is none, or lists in lists are deeper than Python's stack.
    """
    return _parsed(json.loads, text)


def toml_of(text: str) -> dict[str, Any]:
    """Returns a TOML document; see `json_of`."""
    if sys.version_info >= (3, 11):  # imported here: most calls find no file to read
        import tomllib
    else:
        import tomli as tomllib
    return _parsed(tomllib.loads, text)


def _parsed(parse: Callable[[str], _Kind], text: str) -> _Kind:
    try:
        return parse(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def text(value: Any, place: str) -> str:
    """Returns a string.

    Args:
      value: What should be one.
      place: Named in the error: file and key, or flag.

    Raises:
      UsageError: It is none.
    """
    return _checked(value, str, "a string", place)


def texts(value: Any, place: str) -> tuple[str, ...]:
    """Returns the strings of a list; see `text`."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{place}: want a list of strings, got {shown(value)}")
    return tuple(value)


def items(value: Any, place: str) -> list[Any]:
    """Returns a list; see `text`."""
    return _checked(value, list, "a list", place)


def table(value: Any, place: str) -> dict[str, Any]:
    """Returns a table; see `text`."""
    return _checked(value, dict, "a table", place)


def on_or_off(value: Any, place: str) -> bool:
    """Returns a truth value; see `text`."""
    return _checked(value, bool, "true or false", place)


def _checked(value: Any, kind: type[_Kind], name: str, place: str) -> _Kind:
    if not isinstance(value, kind):
        raise UsageError(f"{place}: want {name}, got {shown(value)}")
    return value


def number(value: Any, place: str) -> float:
    """Returns a finite number; see `text`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{place}: want a number, got {shown(value)}")
    try:
        finite = float(value)
    except OverflowError:
        finite = math.inf
    if not math.isfinite(finite):
        raise UsageError(f"{place}: want a finite number, got {shown(value)}")
    return finite
