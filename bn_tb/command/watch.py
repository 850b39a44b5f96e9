"""Logs that are still being written, judged again and again."""

import dataclasses
import time
from collections.abc import Callable, Iterator

from bn_tb.diagnosis import Finding, Options, RunDiagnosis, diagnose
from bn_tb.gates.compare import Change, Kind, by_place, compare
from bn_tb.reports.report import Report
from bn_tb.rules.verdict import Severity
from bn_tb.runs.experiment import by_experiment
from bn_tb.sources.follow import Follower

POLL_SECONDS = 2.0
"""Pause between two looks: TensorFlow's writers flush every 120 s, PyTorch's too, or when told."""
LEAST_PAUSE = 4.0
"""Pause in multiples of the time that the last look took, so that training keeps its CPU."""

UNTIL_QUIET = 60.0
"""Seconds without news after which a run counts as ended."""
ABOUT_THE_END = ("BN201",)
"""Codes that judge the last step: every good run lags at its beginning, so while a run grows they
are no news."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What one look at the logs found.

    Attributes:
      report: The report as of now.
      changes: Findings from warnings up that appeared or are cured since the look before, with
        the runs as of now.
    """

    report: Report
    changes: tuple[Change, ...]


class Watcher:
    """Follows logdirs; only experiments with news are judged again."""

    def __init__(
        self,
        follower: Follower,
        options: Options,
        gate: Report,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares to look.

        Args:
          follower: Of the logdirs.
          options: For `diagnose`.
          gate: A report whose gates hold for all reports.
          now: Returns seconds.
        """
        self._follower = follower
        self._options = options
        self._gate = gate
        self._now = now
        self._judged: dict[tuple[tuple[str, str], ...], tuple[RunDiagnosis, ...]] = {}
        self._news: dict[tuple[str, str], float] = {}
        self._told: tuple[RunDiagnosis, ...] = ()

    def look(self) -> Look:
        """Reads what was appended, and returns the report with what changed."""
        changed = {(run.logdir, run.name) for run in self._follower.poll()}
        self._news |= dict.fromkeys(changed, self._now())
        judged = {}
        for runs in by_experiment(self._follower.runs):
            key = tuple((run.logdir, run.name) for run in runs)
            known = None if changed.intersection(key) else self._judged.get(key)
            judged[key] = known if known is not None else diagnose(runs, self._options)
        self._judged = judged
        diagnoses = tuple(run for runs in judged.values() for run in runs)
        told = tuple(map(self._newsworthy, diagnoses))
        changes = compare(self._told, told, by_place)
        self._told = told
        present = {by_place(run): run for run in diagnoses}
        news = tuple(
            dataclasses.replace(change, run=present[by_place(change.run)])
            for change in changes
            if change.kind is not Kind.UNCHANGED
        )
        return Look(dataclasses.replace(self._gate, runs=diagnoses), news)

    def _newsworthy(self, run: RunDiagnosis) -> RunDiagnosis:
        key = (run.subject.run.logdir, run.subject.run.name)
        growing = self._now() - self._news[key] < UNTIL_QUIET

        def tells(finding: Finding) -> bool:
            early = growing and finding.code in ABOUT_THE_END
            return finding.severity > Severity.INFO and not early

        return dataclasses.replace(run, findings=tuple(filter(tells, run.findings)))


def pauses() -> Iterator[None]:
    """Yields for ever, with pauses that leave the CPU to the training."""
    while True:
        start = time.monotonic()
        yield
        time.sleep(max(POLL_SECONDS, LEAST_PAUSE * (time.monotonic() - start)))
