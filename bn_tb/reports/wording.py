"""The same sentences in every format that people read: names, counts, verdicts in words."""

import collections
import dataclasses
import posixpath
from collections.abc import Iterable, Sequence

from bn_tb.diagnosis import VERDICTS, Finding, RunDiagnosis
from bn_tb.reports.report import ExitCode, Report
from bn_tb.reports.safe_text import one_line
from bn_tb.rules import RULES
from bn_tb.rules.verdict import Severity
from bn_tb.runs.run import FileReport

MEANING = {
    "broken": "a statistic holds numbers that evaluation cannot use",
    "stale": "evaluation uses statistics that training did not update",
    "lagging": "evaluation still uses part of the initial values",
    "suspect": "something is unusual; see the findings",
    "frozen": "constant statistics, usually on purpose",
    "healthy": "the statistics follow the training",
    "insufficient": "too few points to judge",
    "not-logged": "batch norm is there, its statistics are not logged",
    "unknown": "nothing logged tells the model",
    "no-batch-norm": "no batch norm in tags or graph",
    "unreadable": "no event could be read",
}


UNINTERESTING = ("unknown", "no-batch-norm")
"""Verdicts whose runs share a row at the end: those of test runs beside a training run."""


def count(number: int, noun: str) -> str:
    """Returns `1 layer`, `2 layers`, `1,234 layers`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(names: Sequence[str], most: int) -> str:
    """Returns names as `a, b, c and 197 more`."""
    shown = ", ".join(one_line(name) for name in names[:most])
    left = len(names) - most
    return f"{shown} and {left:,} more" if left > 0 else shown


def verdict_counts(runs: Iterable[RunDiagnosis]) -> str:
    """Returns `1 stale, 2 healthy`, worst first."""
    verdicts = [run.verdict for run in runs]
    return ", ".join(f"{verdicts.count(v):,} {v}" for v in VERDICTS if v in verdicts)


def worst_first(runs: Iterable[RunDiagnosis]) -> list[RunDiagnosis]:
    """Returns runs by verdict, worst first; within a verdict in reading order."""
    return sorted(runs, key=lambda run: VERDICTS.index(run.verdict))


def representatives(
    runs: Sequence[RunDiagnosis], most: int, per_verdict: int
) -> tuple[list[RunDiagnosis], list[RunDiagnosis]]:
    """Returns all of up to `most` runs, else the first few of each verdict; and the others."""
    if len(runs) <= most:
        return list(runs), []
    seen: collections.Counter[str] = collections.Counter()
    shown: list[RunDiagnosis] = []
    left: list[RunDiagnosis] = []
    for run in runs:
        seen[run.verdict] += 1
        (shown if seen[run.verdict] <= per_verdict else left).append(run)
    return shown, left


def telling(runs: Iterable[RunDiagnosis], most: int) -> list[RunDiagnosis]:
    """Returns the first runs of which each has a finding that those before it have not."""
    chosen: list[RunDiagnosis] = []
    told: set[str] = set()
    for run in runs:
        codes = {finding.code for finding in run.findings}
        if codes - told and len(chosen) < most:
            chosen.append(run)
            told |= codes
    return chosen


def run_name(report: Report, diagnosis: RunDiagnosis) -> str:
    """Returns a run's name; of several logdirs, with what tells its logdir from the others."""
    run = diagnosis.subject.run
    if run.name == "." and len(report.places) == 1:
        return one_line(run.logdir)
    return one_line(posixpath.normpath(posixpath.join(report.places[run.logdir], run.name)))


def companions(runs: Iterable[RunDiagnosis]) -> list[RunDiagnosis]:
    """Returns runs that stand beside a judged one of their experiment and have nothing to say."""
    return [
        run
        for run in runs
        if run.verdict in UNINTERESTING
        and not (run.findings or run.problem or run.subject.layers)
        and any(other.layers for other in run.subject.related)
    ]


def entry_name(report: Report, diagnosis: RunDiagnosis) -> str:
    """Returns a run's name, and which runs of its experiment hold no statistics."""
    name = run_name(report, diagnosis)
    beside = [
        other.run.name.rpartition("/")[2]
        for other in diagnosis.subject.related
        if diagnosis.subject.layers and not other.layers
    ]
    return f"{name} with {listed(beside, 2)}" if beside else name


def costs(report: Report, diagnosis: RunDiagnosis) -> dict[str, Finding]:
    """Returns findings that tell a cost, by the code of what causes it in the same run."""
    told = {one.code for one in diagnosis.findings if not report.suppressed(diagnosis, one)}
    return {
        cause: finding
        for finding in diagnosis.findings
        if RULES[finding.code].tells_cost and not report.suppressed(diagnosis, finding)
        for cause in finding.causes[:1]
        if cause in told
    }


def gate(report: Report) -> str:
    """Returns why findings that matter do not fail the call, or an empty string."""
    worse = [run for run in report.runs if run.verdict in ("broken", "stale", "lagging", "suspect")]
    if report.fail_on is not Severity.ERROR or report.exit_code != ExitCode.CLEAN or not worse:
        return ""
    if any(finding.severity is Severity.ERROR for run in worse for finding in run.findings):
        return ""  # suppressed or known: the report says so
    strict = dataclasses.replace(report, fail_on=Severity.WARNING)
    if strict.exit_code != ExitCode.FINDINGS:
        return ""  # what makes them worse was ignored, or is accepted
    return "exit status 0: only errors fail; --fail_on=warning fails on warnings, too"


def extent(diagnosis: RunDiagnosis) -> str:
    """Returns `3 layers, steps 1 to 500` or epochs, and how many checkpoints hold statistics."""
    run = diagnosis.subject.run
    parts = [count(len(diagnosis.layers), "layer")] if diagnosis.layers else []
    if run.first_step is not None and run.last_step is not None:
        unit = diagnosis.subject.clock.unit
        parts.append(
            f"{unit} {run.first_step:,}"
            if run.first_step == run.last_step
            else f"{unit}s {run.first_step:,} to {run.last_step:,}"
        )
    if any("checkpoint" in layer.sources for layer in diagnosis.subject.layers):
        parts.append(f"from {count(len(run.checkpoints), 'checkpoint')}")
    return ", ".join(parts)


def reason(diagnosis: RunDiagnosis) -> str:
    """Returns why a run has its verdict, in half a line."""
    leading = [f for f in diagnosis.findings if f.severity == diagnosis.findings[0].severity]
    if leading and diagnosis.verdict not in ("healthy", "unreadable"):
        parts = [_finding_in_short(diagnosis, leading[0])]
        if len(diagnosis.findings) > 1:
            parts.append(f"and {count(len(diagnosis.findings) - 1, 'more finding')}")
        return " ".join(parts)
    damaged = [file for file in diagnosis.subject.run.files if file.status != "ok"]
    if diagnosis.verdict == "unreadable" and damaged:
        return file_problem(damaged[0])
    trusted = [layer.trusted_from for layer in diagnosis.layers if layer.trusted_from is not None]
    if diagnosis.verdict == "healthy" and trusted:
        unit = diagnosis.subject.clock.unit
        return f"at most 5 % initial values from {unit} {max(trusted):,} on"
    return MEANING[diagnosis.verdict]


def causes(finding: Finding) -> str:
    """Returns the causes of a finding as `BN401 unwired-updates`."""
    return ", ".join(f"{code} {RULES[code].name}" for code in finding.causes)


def file_problem(file: FileReport) -> str:
    """Returns what is wrong with an event file, in one line."""
    return one_line(f"{file.path}: {file.status.replace('_', ' ')}: {file.detail}")


def _finding_in_short(diagnosis: RunDiagnosis, finding: Finding) -> str:
    total = len(diagnosis.layers)
    where = ""
    if finding.layers and total > 1:
        where = f", {len(finding.layers):,} of {total:,} layers"
    return f"{finding.code} {finding.name}{where}"
