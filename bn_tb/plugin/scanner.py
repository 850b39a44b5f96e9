"""Reads and judges runs in the background: first those asked for, then the others."""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tensorboard.util import tb_logging

from bn_tb.diagnosis import Options, RunDiagnosis, diagnose
from bn_tb.errors import BnTbError
from bn_tb.plugin.logs import Experiment, Source
from bn_tb.reports.page import payload
from bn_tb.runs.hyperparameters import spread
from bn_tb.sources.logdir import FoundRun

_log = tb_logging.get_logger()

PATIENCE = 0.7  # seconds that a request waits for what is being read; the page asks again
LOOK_SECONDS = 15.0  # after the page last asked, reading that nobody asked for pauses
BACKGROUND_BYTES = 4 << 30  # read without being asked for; the rest waits for a click
MEMORY_POINTS = 1_500_000  # histogram points held, at about 150 bytes each


@dataclasses.dataclass
class _Judged:
    """What is known of an experiment.

    Attributes:
      found: The runs as they were when they were read; unequal to the last listing if they grew.
      rows: One row of the list of runs per run.
      diagnoses: Diagnosis per run, or None once memory was needed for others.
      problem: Why it could not be judged, or an empty string.
    """

    found: Sequence[FoundRun]
    rows: dict[str, payload.Payload]
    diagnoses: dict[str, RunDiagnosis] | None
    problem: str = ""


class Scanner:
    """The judged runs of a source; every method may be called from any thread."""

    def __init__(
        self,
        source: Source,
        options: Options = Options(),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares; nothing is read before the first question.

        Args:
          source: Where runs come from.
          options: For `diagnose`.
          now: Returns seconds.
        """
        self.source = source
        self.trouble = ""
        """Why the runs could not be listed the last time, or an empty string."""
        self._options = options
        self._now = now
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._listed: dict[Experiment, Sequence[FoundRun]] | None = None
        self._home: dict[str, Experiment] = {}
        self._judged: collections.OrderedDict[Experiment, _Judged] = collections.OrderedDict()
        self._asked: list[Experiment] = []
        self._working: Experiment | None = None
        self._list_wanted = False
        self._looked = 0.0
        self._background = 0

    def overview(self, refresh: bool = False) -> dict[str, Any]:
        """Returns all runs, those that are judged with their verdict.

        Args:
          refresh: Whether to look for new runs and new data.

        Returns:
          `runs`, and `busy`: whether more will be known if one asks again.
        """
        with self._condition:
            self._looked = self._now()
            if refresh or self._listed is None:
                self._want_list()
                self._condition.wait_for(lambda: not self._list_wanted, PATIENCE)
            self._wake()
            return {"runs": self._rows(), "busy": self._next() is not None or self._is_working()}

    def diagnosis(self, run: str) -> RunDiagnosis | None:
        """Returns the diagnosis of a run, or None while it is being read.

        A run that has grown is read on; until that is done, what was known of it is returned.

        Raises:
          KeyError: There is no such run.
          BnTbError: The run could not be read.
        """
        with self._condition:
            self._looked = self._now()
            if self._listed is None or run not in self._home:
                self._want_list()
                self._condition.wait_for(lambda: not self._list_wanted, PATIENCE)
            if self._listed is None:
                return None
            key = self._home[run]
            if not self._fresh(key):
                self._asked = [key, *(asked for asked in self._asked if asked != key)]
                self._wake()
                self._condition.wait_for(lambda: self._fresh(key), PATIENCE)
            known = self._judged.get(key)
            if known is None or known.diagnoses is None:
                return None
            if known.problem:
                raise BnTbError(known.problem)
            self._judged.move_to_end(key)
            return known.diagnoses.get(run)

    def size(self, run: str) -> int:
        """Returns the bytes of the experiment of a run, 0 if it is unknown."""
        with self._condition:
            found = (self._listed or {}).get(self._home.get(run, ("", "")), ())
            return sum(one.size for one in found)

    def _rows(self) -> list[payload.Payload]:
        rows = []
        for key, found in (self._listed or {}).items():
            known = self._judged[key].rows if key in self._judged else {}
            rows += [known.get(run.name, {"run": run.name, "verdict": None}) for run in found]
        settings = spread({row["run"]: row.get("hyperparameters", {}) for row in rows})
        return [row | {"hyperparameters": settings[row["run"]]} for row in rows]

    def _fresh(self, key: Experiment) -> bool:
        known = self._judged.get(key)
        return (
            known is not None
            and known.diagnoses is not None
            and self._listed is not None
            and known.found == self._listed.get(key)
        )

    def _want_list(self) -> None:
        self._list_wanted = True
        self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="bn_tb", daemon=True)
            self._thread.start()
        self._condition.notify_all()

    def _is_working(self) -> bool:
        return self._list_wanted or self._working is not None

    def _next(self) -> Experiment | None:
        """The experiment to read next: one asked for, else one that is new or has grown."""
        if self._asked:
            return self._asked[0]
        if self._now() - self._looked > LOOK_SECONDS or self._background > BACKGROUND_BYTES:
            return None
        for key, found in (self._listed or {}).items():
            if key not in self._judged or self._judged[key].found != found:
                return key
        return None

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._list_wanted or self._next())
                key = self._working = None if self._list_wanted else self._next()
                found = (self._listed or {}).get(key, ()) if key else ()
            try:
                if key is None:
                    self._list()
                else:
                    self._store(key, self._judge(found))
            except Exception as error:  # the thread must go on; the page says what happened
                _log.exception("BatchNorm tab: cannot read %s", key or "the log directory")
                self._fail(key, found, error)

    def _list(self) -> None:
        listed = dict(self.source.find())
        with self._condition:
            self._listed, self.trouble = listed, ""
            self._home = {run.name: key for key, found in listed.items() for run in found}
            for key in [key for key in self._judged if key not in listed]:
                self.source.forget(self._judged.pop(key).found)
            self._list_wanted = False
            self._condition.notify_all()

    def _judge(self, found: Sequence[FoundRun]) -> _Judged:
        judged = {
            one.subject.run.name: one for one in diagnose(self.source.read(found), self._options)
        }
        rows = {name: payload.overview(one) for name, one in judged.items()}
        return _Judged(found, rows, judged)

    def _fail(self, key: Experiment | None, found: Sequence[FoundRun], error: Exception) -> None:
        """Keeps what went wrong; it is tried again when the files have changed."""
        problem = str(error) if isinstance(error, BnTbError) else f"{type(error).__name__}: {error}"
        if key is not None:
            rows = {run.name: payload.unreadable(run.name, problem) for run in found}
            self._store(key, _Judged(found, rows, {}, problem))
            return
        with self._condition:
            self.trouble = f"The log directory cannot be listed: {problem}"
            self._listed = self._listed or {}
            self._list_wanted = False
            self._condition.notify_all()

    def _store(self, key: Experiment, judged: _Judged) -> None:
        with self._condition:
            before = self._judged.get(key)
            read = sum(run.size for run in judged.found)
            self._background += read - sum(run.size for run in before.found) if before else read
            self._judged[key] = judged
            self._judged.move_to_end(key)
            self._asked = [asked for asked in self._asked if asked != key]
            self._working = None
            self._forget_oldest()
            self._condition.notify_all()

    def _forget_oldest(self) -> None:
        held = [(key, known) for key, known in self._judged.items() if known.diagnoses]
        room = MEMORY_POINTS
        for at, (_, known) in enumerate(reversed(held)):
            room -= points_of(known.diagnoses or {})
            if room < 0 and at > 0:
                known.diagnoses = None
                self.source.forget(known.found)


def points_of(diagnoses: dict[str, RunDiagnosis]) -> int:
    """Returns the number of histogram points that diagnoses hold."""
    return sum(
        series.steps.size
        for diagnosis in diagnoses.values()
        for series in diagnosis.subject.run.histograms.values()
    )
