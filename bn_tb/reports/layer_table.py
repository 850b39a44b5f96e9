"""The layers of a run with the trajectories of their statistics, a line each."""

import itertools
from collections.abc import Callable, Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bn_tb.diagnosis import VERDICTS, RunDiagnosis
from bn_tb.reports.report import View
from bn_tb.reports.safe_text import one_line, shorten
from bn_tb.reports.sparkline import root_mean_square, sparkline
from bn_tb.series import FloatArray, HistogramSeries

ROWS_PER_VERDICT = 3
"""Layers of one verdict that stand for the others unless `verbose`."""
NARROWEST_NAME = 12
"""Columns that a layer's name has at least."""

Measure = Callable[[HistogramSeries], FloatArray]


def layer_table(run: RunDiagnosis, view: View, styles: Mapping[str, str]) -> Group:
    """Returns the layers worst first; of many equal ones the first few and a count."""
    pairs = list(zip(run.layers, run.subject.layers, strict=True))
    rows: list[tuple[str, str, Text, Text]] = []
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
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(no_wrap=True)
    heads = ("layer", "", "moving mean (rms)", "moving variance (average)")
    table.add_row(*(Text(head, "dim") for head in heads))
    columns = zip(*(row[1:] for row in [heads, *rows]), strict=True)
    taken = sum(max(len(cell) for cell in column) + 2 for column in columns)
    names = _names(run, max(view.width - taken - 2, NARROWEST_NAME), view)
    for layer_name, verdict, mean, variance in rows:
        table.add_row(
            Text(names[layer_name]), Text(verdict, styles.get(verdict, "")), mean, variance
        )
    return Group(table, Text(f"and {', '.join(left)}", "dim")) if left else Group(table)


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


def _trajectory(series: HistogramSeries | None, measure: Measure, view: View) -> Text:
    if series is None or not len(series.steps):
        return Text("not logged", "dim")
    values = measure(series)
    curve = sparkline(series.steps, values, 8 if view.width < 100 else 20, view.unicode)
    ends = f"{values[0]:.3g}"
    if len(values) > 1:
        ends += f" {'→' if view.unicode else '>'} {values[-1]:.3g}"
    return Text(f"{curve} {ends}")
