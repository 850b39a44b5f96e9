"""Measures how long each format takes to render, apart from reading and judging.

    python scripts/bench_reports.py [--runs=500] [--layers=10000]

One report has many runs of three layers, the other one run of many layers. Figures are CPU seconds,
the best of three, and megabytes of the result.
"""

import pathlib
import sys
import time

from absl import app, flags
from rich.console import Console
from rich.table import Table

import bn_tb
from bn_tb import View

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
# isort: split
from tests.builders import made_diagnoses as made

RUNS = flags.DEFINE_integer("runs", 500, "Runs of the first report.", lower_bound=1)
LAYERS = flags.DEFINE_integer("layers", 10_000, "Layers of the second.", lower_bound=1)
REPEATS = 3


def measure(report: bn_tb.Report, format: str, view: View) -> str:
    """Returns seconds and megabytes of one rendering."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        text = bn_tb.render(report, format, view)
        seconds.append(time.process_time() - start)
    return f"{min(seconds):6.2f} s {len(text) / 1e6:6.1f} MB"


def main(argv: list[str]) -> None:
    """Prints a row per format."""
    kinds = (made.stale, made.healthy, made.healthy, made.lagging)
    runs = [kinds[i % len(kinds)](f"exp{i}/train") for i in range(RUNS.value)]
    many_runs = bn_tb.Report(tuple(runs))
    layers = tuple(f"net/block{i}/unit/batch_normalization" for i in range(LAYERS.value))
    many_layers = bn_tb.Report((made.stale(layers=layers),))
    table = Table("format", f"{RUNS.value:,} runs", f"{LAYERS.value:,} layers")
    views = [(format, View()) for format in bn_tb.RENDERERS]
    views.insert(1, ("text", View(verbose=True)))
    for format, view in views:
        name = f"{format} --verbose" if view.verbose else format
        table.add_row(name, measure(many_runs, format, view), measure(many_layers, format, view))
    Console().print(table)


if __name__ == "__main__":
    app.run(main)
