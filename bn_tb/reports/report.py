"""What every renderer gets: diagnoses, and what gates make of them."""

import dataclasses
import enum
import functools
import itertools
import os
from collections.abc import Iterator, Mapping

from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.gates.baseline import KnownFinding, known
from bn_tb.gates.suppressions import Suppression, accepting
from bn_tb.rules import RULES
from bn_tb.rules.verdict import Severity
from bn_tb.runs.hyperparameters import Values, spread

UNJUDGED = ("insufficient", "unknown", "no-batch-norm", "unreadable")
"""Verdicts that are no judgement; `not-logged` is one where a graph was judged."""


class ExitCode(enum.IntEnum):
    """Exit statuses of `bn_tb.analyze`."""

    CLEAN = 0
    FINDINGS = 1
    UNUSABLE = 2
    NOT_JUDGED = 3


@dataclasses.dataclass(frozen=True)
class View:
    """How a person wants to see a report; machine formats ignore it.

    Attributes:
      width: Columns.
      colour: Whether to write ANSI colours.
      unicode: Whether the reader can show more than ASCII.
      verbose: Every run, layer and suppressed finding in full.
      columns: Hyperparameters to show beside each run.
      group_by: A hyperparameter to count verdicts by, or an empty string.
    """

    width: int = 80
    colour: bool = False
    unicode: bool = True
    verbose: bool = False
    columns: tuple[str, ...] = ()
    group_by: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """Diagnoses and gates.

    Attributes:
      runs: The diagnoses, in reading order.
      fail_on: Smallest severity that fails, or None to never fail.
      suppressions: Accepted findings; they do not fail.
      baseline: Known findings, which do not fail, or None without a baseline.
      problems: One line for each thing asked for that could not be read at all.
    """

    runs: tuple[RunDiagnosis, ...]
    fail_on: Severity | None = Severity.ERROR
    suppressions: tuple[Suppression, ...] = ()
    baseline: tuple[KnownFinding, ...] | None = None
    problems: tuple[str, ...] = ()

    def findings(self) -> Iterator[tuple[RunDiagnosis, Finding]]:
        """Yields every finding with its run."""
        for run in self.runs:
            for finding in run.findings:
                yield run, finding

    def suppressed(self, run: RunDiagnosis, finding: Finding) -> str:
        """Returns the reasons for which a finding is accepted, or an empty string.

        Who accepted a cause accepted what it costs: a finding that tells it goes with all of them.
        """
        name = run.subject.run.name
        entries = accepting(self.suppressions, name, finding)
        if not entries and RULES[finding.code].tells_cost:
            explaining = [one for one in run.findings if one.code in finding.causes]
            accepted = [accepting(self.suppressions, name, one) for one in explaining]
            entries = tuple(itertools.chain(*accepted)) if all(accepted) else ()
        return "; ".join(dict.fromkeys(entry.reason for entry in entries))

    def known(self, finding: Finding) -> bool:
        """Returns whether the baseline holds a finding."""
        return finding.fingerprint in self._fingerprints

    def fails(self, run: RunDiagnosis, finding: Finding) -> bool:
        """Returns whether a finding fails the gate."""
        return (
            self.fail_on is not None
            and finding.severity >= self.fail_on
            and not self.known(finding)
            and not self.suppressed(run, finding)
        )

    @property
    def exit_code(self) -> ExitCode:
        """The exit status of the command line; what could not be read comes first."""
        failed = any(run.problem for run in self.runs)
        if self.problems or failed or all(run.verdict == "unreadable" for run in self.runs):
            return ExitCode.UNUSABLE
        if any(self.fails(run, finding) for run, finding in self.findings()):
            return ExitCode.FINDINGS
        return ExitCode.CLEAN if any(map(_judged, self.runs)) else ExitCode.NOT_JUDGED

    @property
    def unused_suppressions(self) -> tuple[Suppression, ...]:
        """The entries that accepted nothing and can be deleted."""
        used = {
            entry
            for run, finding in self.findings()
            for entry in accepting(self.suppressions, run.subject.run.name, finding)
        }
        return tuple(entry for entry in self.suppressions if entry not in used)

    @property
    def cured(self) -> tuple[KnownFinding, ...]:
        """Findings of the baseline that are gone, in runs that were looked at again."""
        seen = {run.subject.run.name for run in self.runs if run.verdict != "unreadable"}
        present = {finding.fingerprint for _, finding in self.findings()}
        return tuple(
            entry
            for entry in self.baseline or ()
            if entry.run in seen and entry.fingerprint not in present
        )

    def as_baseline(self) -> tuple[KnownFinding, ...]:
        """Returns the findings for a baseline file.

        These are all that are not suppressed; of runs that were not looked at, those of the old
        baseline.
        """
        names = {run.subject.run.name for run in self.runs}
        kept = tuple(entry for entry in self.baseline or () if entry.run not in names)
        return kept + tuple(
            known(run, finding)
            for run, finding in self.findings()
            if not self.suppressed(run, finding)
        )

    def hyperparameters(self, run: RunDiagnosis) -> Values:
        """Returns the hyperparameters of a run, also those it has from the runs around it."""
        return self._hyperparameters[run.subject.run.logdir][run.subject.run.name]

    @functools.cached_property
    def _hyperparameters(self) -> Mapping[str, Mapping[str, Values]]:
        own: dict[str, dict[str, Values]] = {}
        for diagnosis in self.runs:
            run = diagnosis.subject.run
            own.setdefault(run.logdir, {})[run.name] = run.hyperparameters
        return {logdir: spread(runs) for logdir, runs in own.items()}

    @functools.cached_property
    def places(self) -> Mapping[str, str]:
        """The logdirs of all runs, each with its path below the folder that holds them all."""
        logdirs = {run.subject.run.logdir for run in self.runs}
        try:
            shared = os.path.commonpath(logdirs)
        except ValueError:  # of one drive or kind they are not
            return {logdir: logdir for logdir in logdirs}
        return {logdir: os.path.relpath(logdir, shared or ".") for logdir in logdirs}

    @functools.cached_property
    def _fingerprints(self) -> frozenset[str]:
        return frozenset(entry.fingerprint for entry in self.baseline or ())


def _judged(run: RunDiagnosis) -> bool:
    if run.verdict == "not-logged":
        return run.wiring_judged
    return run.verdict not in UNJUDGED
