"""The look of the pictures: light, few lines, colours that colour-blind people tell apart."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bn_tb.errors import UsageError

# Okabe and Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/; without yellow,
# which is too faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

_STYLE: Any = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.hashsalt": "bn_tb",  # the same figures give the same file
}


@contextlib.contextmanager
def figure(path: pathlib.Path, rows: int = 1, columns: int = 1, **options: Any) -> Iterator[Any]:
    """Yields the axes of a new figure, as `matplotlib.pyplot.subplots` does, and saves it.

    Args:
      path: Its suffix says the format.
      rows: Of axes, each 3.4 inches high.
      columns: Of axes, each 4.6 inches wide.
      **options: For `subplots`; a `figsize` in inches overrides the sizes above.

    Raises:
      UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("pictures need matplotlib: pip install matplotlib") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    options.setdefault("figsize", (4.6 * columns, 3.4 * rows))
    with plt.rc_context(_STYLE):
        drawn, axes = plt.subplots(rows, columns, **options)
        try:
            yield axes
            drawn.savefig(path)
            if path.suffix == ".png":
                _reduce_colours(path)
        finally:
            plt.close(drawn)


def _reduce_colours(path: pathlib.Path) -> None:
    """Writes a PNG with a palette, which makes it three times smaller and looks the same."""
    from PIL import Image  # matplotlib needs it, too

    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(128)
    reduced.save(path, optimize=True)


def band(
    axes: Any, steps: np.ndarray, values: np.ndarray, colour: str, label: str, line: str = "-"
) -> None:
    """Draws the mean over seeds as a line, and from the lowest to the highest as a band.

    Args:
      axes: Where.
      steps: Steps, `[T]`.
      values: One row a seed, `[S, T]`.
      colour: Of line and band.
      label: Of the line in the legend.
      line: Style of the line, as matplotlib has it.
    """
    axes.plot(steps, values.mean(axis=0), line, color=colour, label=label)
    if len(values) > 1:
        axes.fill_between(
            steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0
        )


def legend(axes: Any) -> None:
    """Puts the legend of one panel beside the whole figure."""
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")


def plain_numbers(axis: Any, ticks: Sequence[float] | None = None) -> None:
    """Writes 0.01 and 200 on a logarithmic axis, and not powers of ten."""
    axis.set_major_formatter("{x:g}")
    if ticks is not None:
        axis.set_ticks(ticks)
        axis.set_ticks([], minor=True)
    axis.set_minor_formatter("")
