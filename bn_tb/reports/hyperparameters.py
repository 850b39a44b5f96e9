"""Which setting is to blame: hyperparameters beside verdicts, and verdicts by hyperparameter."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from bn_tb.diagnosis import VERDICTS, RunDiagnosis
from bn_tb.errors import UsageError
from bn_tb.reports.report import Report
from bn_tb.rules.verdict import Severity
from bn_tb.runs.hyperparameters import Value, Values, names, text_of

NOT_GIVEN = "(not given)"


@dataclasses.dataclass(frozen=True)
class Group:
    """The runs with one value of a hyperparameter.

    Attributes:
      value: As people write it.
      verdicts: How many runs have each verdict, worst first.
    """

    value: str
    verdicts: Mapping[str, int]


def groups(report: Report, name: str) -> list[Group]:
    """Returns the runs of a report by one of their hyperparameters, values in order.

    Raises:
      UsageError: No run has it.
    """
    counts: dict[Value | None, collections.Counter[str]] = {}
    for run in report.runs:
        value = report.hyperparameters(run).get(name)
        counts.setdefault(value, collections.Counter())[run.verdict] += 1
    if set(counts) <= {None}:
        known = ", ".join(names(map(report.hyperparameters, report.runs))) or "none"
        raise UsageError(f"--group_by={name}: no run says it; hyperparameters that are: {known}")
    return [
        Group(
            NOT_GIVEN if value is None else text_of(value),
            {verdict: counts[value][verdict] for verdict in VERDICTS if counts[value][verdict]},
        )
        for value in sorted(counts, key=_order)
    ]


def shared(report: Report, affected: Sequence[RunDiagnosis]) -> list[str]:
    """Returns what all of some runs have in common and not every run has, as `name=value`."""
    common = dict(report.hyperparameters(affected[0]))
    for run in affected[1:]:
        values = report.hyperparameters(run)
        common = {name: value for name, value in common.items() if values.get(name) == value}
    return [
        f"{name}={text_of(value)}"
        for name, value in sorted(common.items())
        if any(report.hyperparameters(run).get(name) != value for run in report.runs)
    ]


def told_together(report: Report) -> Iterator[tuple[str, str, list[RunDiagnosis]]]:
    """Yields code, name and runs of each finding that several runs share, the gravest first."""
    runs: dict[tuple[str, str], list[RunDiagnosis]] = {}
    gravest: dict[tuple[str, str], Severity] = {}
    for run in report.runs:
        for one in {finding.code: finding for finding in run.findings}.values():
            key = (one.code, one.name)
            runs.setdefault(key, []).append(run)
            gravest[key] = max(one.severity, gravest.get(key, one.severity))
    for code, name in sorted(runs, key=lambda key: (-gravest[key], -len(runs[key]), key)):
        if len(runs[code, name]) > 1:
            yield code, name, runs[code, name]


def cells(values: Values, columns: Sequence[str]) -> list[str]:
    """Returns the values of some columns as text, empty where a run does not say."""
    return [text_of(values[name]) if name in values else "" for name in columns]


def _order(value: Value | None) -> tuple[int, float, str]:
    """Numbers by size, then words, then what is not given."""
    if value is None:
        return 2, 0.0, ""
    if isinstance(value, str):
        return 1, 0.0, value
    return 0, float(value), ""
