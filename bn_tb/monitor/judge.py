"""Live judging: the same rules on the same series, each finding said once, and when it is over."""

import os
import warnings
from collections.abc import Callable
from typing import Any

from bn_tb.diagnosis import Finding, Options, RunDiagnosis, diagnose
from bn_tb.monitor.event_log import log_of
from bn_tb.monitor.history import History, Snapshot
from bn_tb.monitor.warning import BatchNormWarning
from bn_tb.rules.verdict import Severity

ABOUT_THE_END = ("BN201", "BN202", "BN902")
"""Codes that judge the last step: every good run lags at its beginning. They are for the end."""

ABOUT_ALL = ("BN109",)
"""Codes that say what no step did: a layer may join a network that grows."""
MATURE = 10
"""Looks before these are told."""

PACE = 1.1
"""Looks until it is judged again, as a multiple of those until it was judged last: judging takes
time in proportion to the looks so far, so all of it together does, too."""

OnFinding = Callable[[Finding], None]


class Judge:
    """Takes snapshots, logs them, judges what it has, and never lets a fault of its own out.

    The boundary of monitors: whatever fails here (a full disk, a closed writer, a rule) is said
    once, and the monitor goes quiet; the training goes on as if it was not there.
    """

    def __init__(self, logdir: Any, on_finding: OnFinding | None, quiet: bool = False) -> None:
        """Opens the log.

        Args:
          logdir: A folder of the run, a SummaryWriter, or None to write nothing.
          on_finding: Called with each new finding.
          quiet: Whether to look at nothing: another process of a group does.
        """
        named = isinstance(logdir, (str, os.PathLike))
        self.quiet = quiet
        self._history = History(os.fspath(logdir) if named else "live")
        self._log = None if logdir is None or quiet else log_of(logdir)
        self._on_finding = on_finding
        self._told: dict[str, Finding] = {}
        self._looks, self._judged = 0, 0

    def take(self, look: Callable[[], Snapshot], final: bool = False) -> bool:
        """Looks, logs and judges; returns whether an error was found that was not told before.

        Args:
          look: Makes a snapshot of the model.
          final: Whether the training is over, so that lags can be told.
        """
        if self.quiet:
            return False
        try:
            snapshot = look()
            self._history.add(snapshot)
            if self._log is not None:
                self._log.write(snapshot)
            self._looks += 1
            fresh = self._fresh(final) if final or self._looks >= PACE * self._judged else []
        except Exception as error:  # a monitor never ends a training
            self._give_up(error)
            return False
        for finding in fresh:
            self._tell(finding)
        return any(finding.severity is Severity.ERROR for finding in fresh)

    def diagnoses(self) -> tuple[RunDiagnosis, ...]:
        """Returns what the rules say of all that was seen."""
        return diagnose([self._history.run()], Options())

    def close(self) -> None:
        """Closes the log; a fault of it is said."""
        if self._log is not None and not self.quiet:
            try:
                self._log.close()
            except Exception as error:  # see the class
                self._give_up(error)

    def _fresh(self, final: bool) -> list[Finding]:
        self._judged = self._looks
        (diagnosis,) = self.diagnoses()
        early = () if final else ABOUT_THE_END + ABOUT_ALL * (self._looks < MATURE)
        now = {
            f"{finding.code} {' '.join(finding.layers)}": finding
            for finding in diagnosis.findings
            if finding.severity >= Severity.WARNING and finding.code not in early
        }
        fresh = [finding for key, finding in now.items() if key not in self._told]
        for key in [key for key in self._told if key not in now]:
            over = self._told.pop(key)
            warnings.warn(f"{over.code} {over.name}: resolved", BatchNormWarning, stacklevel=2)
        self._told |= now
        return fresh

    def _tell(self, finding: Finding) -> None:
        text = f"{finding.code} {finding.name}: {finding.message}\n{finding.fix}"
        warnings.warn(text, BatchNormWarning, stacklevel=2)
        if self._on_finding is not None:
            try:
                self._on_finding(finding)
            except Exception as error:  # see the class
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.quiet = True
        reason = f"{type(error).__name__}: {error}"
        warnings.warn(
            f"the batch-norm monitor is off: {reason}; the training is not affected",
            BatchNormWarning,
            stacklevel=2,
        )
