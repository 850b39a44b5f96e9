"""Prose on a terminal in which long paths and op names break after a slash."""

import dataclasses
import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text


@dataclasses.dataclass(frozen=True)
class Prose:
    """One paragraph; rich alone would break a name that is longer than a line anywhere.

    Attributes:
      text: Without control characters.
      style: As rich has it.
    """

    text: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the lines that fit."""
        lines = "\n".join(wrap(self.text, options.max_width))
        yield Text(lines, self.style, no_wrap=True, overflow="ignore")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Returns the width of the longest word that must not break, and that of all."""
        widest = max(map(cell_len, _split(self.text)), default=0)
        return Measurement(widest, cell_len(self.text)).with_maximum(options.max_width)


def wrap(text: str, width: int) -> list[str]:
    """Returns lines of at most `width` columns.

    They break at spaces; a word that is longer than a line breaks after a slash, and only a part
    between slashes that is longer still breaks anywhere.
    """
    lines, line = list[str](), ""
    for part in _parts(text, width):
        if line and cell_len(line) + cell_len(part.rstrip(" ")) > width:
            lines.append(line.rstrip(" "))
            line = ""
        line += part
    return [*lines, line.rstrip(" ")]


def _parts(text: str, width: int) -> Iterator[str]:
    for word in _split(text):
        if cell_len(word.rstrip(" ")) <= width:
            yield word
            continue
        for part in re.findall(r"[^/]*/ ?|[^/]+", word):
            yield from [part] if cell_len(part.rstrip(" ")) <= width else chop_cells(part, width)


def _split(text: str) -> list[str]:
    """Returns words with the spaces behind them."""
    return re.findall(r" *[^ ]+ *", text)
