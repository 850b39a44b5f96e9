"""Logdirs in, a report with its gates out."""

import dataclasses
import os

import bn_tb
from bn_tb import terminal
from bn_tb.command import unusable
from bn_tb.command.progress import told
from bn_tb.gates import baseline
from bn_tb.reports.report import Report
from bn_tb.settings import Settings


def judge(logdirs: list[str], settings: Settings, update_baseline: bool = False) -> Report:
    """Reads logdirs, judges them and applies the gates; says what is about the call on stderr.

    Args:
      logdirs: Folders or event files; those that cannot be used become `problems` of the report.
      settings: Options, tag patterns and gates.
      update_baseline: Whether to write the findings to `settings.baseline` first.
    """
    gate = settings.gate(update_baseline)
    found = [logdir for logdir in logdirs if os.path.exists(logdir)]
    jobs = os.cpu_count() or 1
    with told() as progress:
        runs = bn_tb.read_logdir(found, settings.patterns(), progress=progress, jobs=jobs)
        diagnoses = bn_tb.diagnose(runs, settings.options())
    seen = {diagnosis.subject.run.logdir for diagnosis in diagnoses}
    problems = tuple(unusable.why(logdir) for logdir in logdirs if logdir not in seen)
    report = dataclasses.replace(gate, runs=diagnoses, problems=problems)
    if update_baseline:
        report = dataclasses.replace(report, baseline=report.as_baseline())
        terminal.write_file(settings.baseline, baseline.dump(report.baseline or ()))
    _note(report)
    return report


def _note(report: Report) -> None:
    for problem in report.problems:
        terminal.note(problem)
    for run in report.runs:
        if run.problem:
            terminal.note(f"run {run.subject.run.name}: {run.problem}")
    for entry in report.unused_suppressions:
        terminal.note(
            f"unused suppression: {entry.code} layer {entry.layer!r} run {entry.run!r} "
            f"({entry.reason}); nothing needs it any more"
        )
