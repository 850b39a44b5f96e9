"""What a terminal shows of many runs: findings that they share, and verdicts by setting."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from bn_tb.diagnosis import VERDICTS
from bn_tb.reports import wording
from bn_tb.reports.hyperparameters import groups, shared, told_together
from bn_tb.reports.prose import Prose
from bn_tb.reports.report import Report
from bn_tb.reports.safe_text import one_line

MANY = 10
"""Runs above which findings are told together first: two lines each, they fill a small screen."""
SETTINGS = 3
"""Settings named that the runs of a finding share."""


def shared_findings(report: Report) -> Iterator[Table | Text]:
    """Yields each finding with the number of its runs and what sets them apart from the others."""
    if len(report.runs) <= MANY:
        return
    table = Table.grid(padding=(0, 2))
    for code, name, runs in told_together(report):
        common = shared(report, runs)
        where = f", all with {wording.listed(common, SETTINGS)}" if common else ""
        count = "every run" if len(runs) == len(report.runs) else f"{len(runs):,} runs"
        table.add_row(code, Prose(f"{name} in {count}{where}"))
    if table.rows:
        yield table
        yield Text()


def group_table(report: Report, name: str) -> Table:
    """Returns how many runs have which verdict, by the values of a hyperparameter."""
    found = groups(report, name)
    verdicts = [v for v in VERDICTS if any(v in group.verdicts for group in found)]
    table = Table.grid(padding=(0, 2))
    table.add_row(*(Text(head, "dim", justify="right") for head in (one_line(name), *verdicts)))
    for group in found:
        counts = [f"{group.verdicts[v]:,}" if v in group.verdicts else "-" for v in verdicts]
        table.add_row(*(Text(cell, justify="right") for cell in (one_line(group.value), *counts)))
    return table
