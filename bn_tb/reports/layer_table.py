"""The layers of a run with the trajectories of their statistics, a line each."""

from collections.abc import Callable, Iterable, Mapping

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from bn_tb.diagnosis import VERDICTS, RunDiagnosis
from bn_tb.reports.report import View
from bn_tb.reports.safe_text import one_line, shorten
from bn_tb.reports.sparkline import root_mean_square, separate_points, sparkline
from bn_tb.runs.names import by_difference
from bn_tb.runs.series import FloatArray, HistogramSeries, IntArray

ROWS_PER_VERDICT = 3
"""Layers of one verdict that stand for the others unless `verbose`."""
INDENT = 2
GAP = 2
NARROWEST_NAME = 12
"""Columns that a layer's name has at least."""
NARROW = ("", "mean", "variance")
"""Heads of the columns without curves."""
CURVES = (20, 8, 0)
"""Characters of a curve, the longest that fits; the numbers beside it are never cut."""

Measure = Callable[[HistogramSeries], FloatArray]
Draw = Callable[[IntArray, FloatArray, int, bool], str]


def layer_table(run: RunDiagnosis, view: View, styles: Mapping[str, str]) -> Text:
    """Returns the layers worst first; of many equal ones the first few and a count."""
    wanted = CURVES if view.width >= 100 else CURVES[1:]
    tables = (_table(run, view, styles, length) for length in wanted)
    return next((table for table in tables if _fits(table, view)), _list(run, view, styles))


def _fits(table: Text, view: View) -> bool:
    return max(cell_len(line.rstrip()) for line in table.plain.split("\n")) + INDENT <= view.width


def _list(run: RunDiagnosis, view: View, styles: Mapping[str, str]) -> Text:
    """Returns the layers one below the other, where no table fits."""
    rows, left = _rows(run, view, 0)
    names = _names(run, max(view.width - INDENT, NARROWEST_NAME), view)
    text = Text()
    for name, verdict, mean, variance in rows:
        text.append(f"{names[name]}\n").append(verdict, styles.get(verdict, ""))
        text.append(f"\n  mean {mean}\n  variance {variance}\n")
    return _ended(text, left)


def _ended(text: Text, left: list[str]) -> Text:
    if left:
        text.append(f"and {', '.join(left)}", "dim")
    text.rstrip()
    return text


def _rows(
    run: RunDiagnosis, view: View, length: int
) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Returns name, verdict, mean and variance of the layers shown; and what is left, counted."""
    pairs = list(zip(run.layers, run.subject.layers, strict=True))
    rows: list[tuple[str, str, str, str]] = []
    left = []
    for verdict in VERDICTS:
        same = [pair for pair in pairs if pair[0].verdict == verdict]
        shown = same if view.verbose else same[:ROWS_PER_VERDICT]
        for judged, layer in shown:
            draw = separate_points if layer.saved else sparkline
            mean = _trajectory(layer.mean, root_mean_square, view, length, draw)
            variance = _trajectory(layer.variance, _average, view, length, draw)
            rows.append((judged.layer, verdict, mean, variance))
        if len(same) > len(shown):
            left.append(f"{len(same) - len(shown):,} {verdict}")
    return rows, left


def _table(run: RunDiagnosis, view: View, styles: Mapping[str, str], length: int) -> Text:
    """Returns a line per layer with curves of `length` characters."""
    rows, left = _rows(run, view, length)
    heads = ("", "moving mean (rms)", "moving variance (average)") if length else NARROW
    columns = zip(heads, *(row[1:] for row in rows), strict=True)
    widths = [max(map(cell_len, column)) for column in columns]
    room = max(view.width - sum(widths) - GAP * len(widths) - INDENT, NARROWEST_NAME)
    names = _names(run, room, view)
    widths.insert(0, max(cell_len(name) for name in ("layer", *(names[row[0]] for row in rows))))
    table = Text(no_wrap=True)
    _append(table, ("layer", *heads), widths, "dim", "dim")
    for layer_name, verdict, mean, variance in rows:
        cells = (names[layer_name], verdict, mean, variance)
        _append(table, cells, widths, "", styles.get(verdict, ""))
    return _ended(table, left)


def _append(
    table: Text, cells: Iterable[str], widths: list[int], style: str, verdict_style: str
) -> None:
    """Adds a row; a rich.Table of thousands of rows takes seconds."""
    name, verdict, *rest = map(set_cell_size, cells, widths)
    gap = " " * GAP
    table.append(name + gap, style)
    table.append(verdict, verdict_style)
    table.append(gap + gap.join(rest) + "\n", style)


def _names(run: RunDiagnosis, width: int, view: View) -> dict[str, str]:
    """Returns names that fit by leaving out the path components that all layers share."""
    ellipsis = "…" if view.unicode else "..."
    layers = list(dict.fromkeys(judged.layer for judged in run.layers))
    names = list(map(one_line, layers))
    if any(len(name) > width for name in names):
        names = by_difference(names, ellipsis)
    return {
        layer: shorten(name, width, ellipsis) for layer, name in zip(layers, names, strict=True)
    }


def _average(series: HistogramSeries) -> FloatArray:
    return series.mean


def _trajectory(
    series: HistogramSeries | None, measure: Measure, view: View, length: int, draw: Draw
) -> str:
    if series is None or not len(series.steps):
        return "not logged"
    values = measure(series)
    curve = f"{draw(series.steps, values, length, view.unicode)} " if length else ""
    ends = f"{values[0]:.3g}"
    if len(values) > 1:
        ends += f" {'→' if view.unicode else '>'} {values[-1]:.3g}"
    return f"{curve}{ends}"
