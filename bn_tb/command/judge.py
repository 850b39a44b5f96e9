"""Logdirs in, a report with its gates out."""

import dataclasses
import os

import bn_tb
from bn_tb import terminal
from bn_tb.command import unusable
from bn_tb.command.means import Means, judge_rows
from bn_tb.command.progress import told
from bn_tb.errors import UsageError
from bn_tb.gates import baseline
from bn_tb.reports.report import Report
from bn_tb.settings import Settings
from bn_tb.sources.logdir import FoundRun, find_runs, may_exist, read_found


def judge(
    logdirs: list[str],
    settings: Settings,
    update_baseline: bool = False,
    means: Means = Means(),
    quiet: bool = False,
) -> Report:
    """Reads logdirs, judges them and applies the gates; says what is about the call on stderr.

    Args:
      logdirs: Folders or event files; those that cannot be used become `problems` of the report.
      settings: Options, tag patterns and gates.
      update_baseline: Whether to write the findings to `settings.baseline` first.
      means: Who judges.
      quiet: Whether to say on stderr only what went wrong.
    """
    gate = settings.gate(update_baseline)
    found, problems = find(logdirs, settings.checkpoints)
    with told(quiet) as progress:
        if means.as_rows:
            outcome = judge_rows(means, found, settings.options(), progress)
            diagnoses = outcome.diagnoses
            problems += (outcome.problem,) if outcome.problem else ()
        else:
            jobs = os.cpu_count() or 1
            runs = read_found(found, settings.patterns(), progress=progress, jobs=jobs)
            diagnoses = bn_tb.diagnose(runs, settings.options())
    report = dataclasses.replace(gate, runs=diagnoses, problems=problems)
    if update_baseline:
        report = dataclasses.replace(report, baseline=report.as_baseline())
        terminal.write_file(settings.baseline, baseline.dump(report.baseline or ()))
    _note(report, quiet)
    return report


def find(logdirs: list[str], checkpoints: bool = True) -> tuple[list[FoundRun], tuple[str, ...]]:
    """Returns the runs of all logdirs, and a line on each logdir that yields none."""
    found, problems = list[FoundRun](), list[str]()
    for logdir in logdirs:
        try:
            some = find_runs(logdir, checkpoints) if may_exist(logdir) else []
            problems += [] if some else [unusable.why(logdir)]
        except UsageError as error:
            some, problems = [], [*problems, str(error)]
        found += some
    return found, tuple(problems)


def _note(report: Report, quiet: bool) -> None:
    for problem in report.problems:
        terminal.note(problem)
    for run in report.runs:
        if run.problem:
            terminal.note(f"run {run.subject.run.name}: {run.problem}")
    for entry in report.unused_suppressions if not quiet else ():
        terminal.note(
            f"unused suppression: {entry.code} layer {entry.layer!r} run {entry.run!r} "
            f"({entry.reason}); nothing needs it any more"
        )
