"""The layers of a run with the trajectories of their statistics, a line each."""

import itertools
from collections.abc import Callable, Iterable, Mapping

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from bn_tb.diagnosis import VERDICTS, RunDiagnosis
from bn_tb.reports.report import View
from bn_tb.reports.safe_text import one_line, shorten
from bn_tb.reports.sparkline import root_mean_square, sparkline
from bn_tb.runs.series import FloatArray, HistogramSeries

ROWS_PER_VERDICT = 3
"""Layers of one verdict that stand for the others unless `verbose`."""
INDENT = 2
GAP = 2
NARROWEST_NAME = 12
"""Columns that a layer's name has at least."""

Measure = Callable[[HistogramSeries], FloatArray]


def layer_table(run: RunDiagnosis, view: View, styles: Mapping[str, str]) -> Text:
    """Returns the layers worst first; of many equal ones the first few and a count."""
    pairs = list(zip(run.layers, run.subject.layers, strict=True))
    rows: list[tuple[str, str, str, str]] = []
    left = []
    for verdict in VERDICTS:
        same = [pair for pair in pairs if pair[0].verdict == verdict]
        shown = same if view.verbose else same[:ROWS_PER_VERDICT]
        for judged, layer in shown:
            mean = _trajectory(layer.mean, root_mean_square, view)
            variance = _trajectory(layer.variance, lambda series: series.mean, view)
            rows.append((judged.layer, verdict, mean, variance))
        if len(same) > len(shown):
            left.append(f"{len(same) - len(shown):,} {verdict}")
    heads = ("", "moving mean (rms)", "moving variance (average)")
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
    if left:
        table.append(f"and {', '.join(left)}", "dim")
    table.rstrip()
    return table


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
    parts = {judged.layer: one_line(judged.layer).split("/") for judged in run.layers}
    names = {layer: "/".join(part) for layer, part in parts.items()}
    if len(parts) > 1 and any(len(name) > width for name in names.values()):
        head = _shared(list(parts.values()))
        tail = _shared([part[head:][::-1] for part in parts.values()])
        for layer, part in parts.items():
            own = part[head : len(part) - tail]
            names[layer] = "/".join([ellipsis] * (head > 0) + own + [ellipsis] * (tail > 0))
    return {layer: shorten(name, width, ellipsis) for layer, name in names.items()}


def _shared(parts: list[list[str]]) -> int:
    """Returns how many components all lists begin with."""
    columns = zip(*parts, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))


def _trajectory(series: HistogramSeries | None, measure: Measure, view: View) -> str:
    if series is None or not len(series.steps):
        return "not logged"
    values = measure(series)
    curve = sparkline(series.steps, values, 8 if view.width < 100 else 20, view.unicode)
    ends = f"{values[0]:.3g}"
    if len(values) > 1:
        ends += f" {'→' if view.unicode else '>'} {values[-1]:.3g}"
    return f"{curve} {ends}"
