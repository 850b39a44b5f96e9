"""One row a run with its hyperparameters, for spreadsheets and data frames."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from bn_tb.diagnosis import VERDICTS, RunDiagnosis
from bn_tb.reports import wording
from bn_tb.reports.hyperparameters import cells, groups
from bn_tb.reports.report import Report, View
from bn_tb.reports.safe_text import one_line
from bn_tb.runs.hyperparameters import names

COLUMNS = ("logdir", "run", "verdict", "codes", "reason", "layers", "first_step", "last_step")

_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.I)
_FORMULA = ("=", "+", "-", "@")


def render(report: Report, view: View) -> str:
    """Returns the table of all runs, or with `view.group_by` that of the groups."""
    if view.group_by:
        found = groups(report, view.group_by)
        verdicts = [v for v in VERDICTS if any(v in group.verdicts for group in found)]
        rows = ([group.value, *(group.verdicts.get(v, 0) for v in verdicts)] for group in found)
        return _table([view.group_by, *verdicts], rows)
    settings = view.columns or names(map(report.hyperparameters, report.runs))
    rows = ([*_about(run), *cells(report.hyperparameters(run), settings)] for run in report.runs)
    return _table([*COLUMNS, *settings], rows)


def _about(run: RunDiagnosis) -> list[object]:
    read = run.subject.run
    codes = dict.fromkeys(finding.code for finding in run.findings)
    numbers = (len(run.layers), read.first_step, read.last_step)
    return [read.logdir, read.name, run.verdict, " ".join(codes), wording.reason(run), *numbers]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, head))
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    """Returns a value that no spreadsheet takes for a formula; names are of unknown origin."""
    text = "" if value is None else one_line(str(value))
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
