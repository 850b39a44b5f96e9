"""Where the runs of TensorBoard come from: folders that we read ourselves, or its data layer."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from bn_tb.errors import BnTbError
from bn_tb.events.run_reader import MAX_POINTS, RunReader
from bn_tb.files import place
from bn_tb.runs.experiment import experiment_of
from bn_tb.runs.run import Run
from bn_tb.runs.tags import TagPatterns
from bn_tb.sources.logdir import FoundRun, completed, find_runs, read_or_refuse

Experiment = tuple[str, str]
"""Logdir, and name of the experiment in it."""


class Source(Protocol):
    """What the scanner asks."""

    @property
    def notice(self) -> str:
        """What a reader of the page must know about this source, or an empty string."""

    def find(self) -> Mapping[Experiment, Sequence[FoundRun]]:
        """Returns the runs of each experiment; values compare unequal once a run has grown."""

    def read(self, runs: Sequence[FoundRun]) -> list[Run]:
        """Reads what is new in the runs of one experiment and returns all that is in them."""

    def forget(self, runs: Sequence[FoundRun]) -> None:
        """Frees the memory that `read` needs to go on where it stopped."""


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder that TensorBoard was started with.

    Attributes:
      path: Local path, or a URL.
      prefix: What stands before the names of its runs; empty for --logdir.
    """

    path: str
    prefix: str = ""

    @property
    def remote(self) -> bool:
        """Whether it is a URL."""
        return place.is_url(self.path)


def folders(logdir: str, logdir_spec: str) -> tuple[Folder, ...]:
    """Returns what --logdir and --logdir_spec name, as TensorBoard understands them.

    https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/backend/event_processing/data_ingester.py#L160
    """
    if not logdir_spec:
        return (Folder(logdir if place.is_url(logdir) else os.path.expanduser(logdir)),)
    return tuple(_folder_of_spec(part) for part in logdir_spec.split(",") if part)


def _folder_of_spec(part: str) -> Folder:
    name, colon, path = part.partition(":")
    if not colon or part.startswith("/") or place.is_url(part) or os.path.splitdrive(part)[0]:
        name, path = "", part
    return Folder(path if place.is_url(path) else os.path.realpath(os.path.expanduser(path)), name)


class LogFiles:
    """Event files, read in full and read on as they grow."""

    def __init__(self, sources: Sequence[Folder], patterns: TagPatterns = TagPatterns()) -> None:
        """Takes folders that need not exist yet, and the tag names that the user taught."""
        self._folders = sources
        self._patterns = patterns
        self._readers: dict[tuple[str, str], RunReader] = {}
        self._listed: dict[Folder, list[FoundRun]] = {}
        self.notice = ""
        """Which folders could not be looked into the last time; their runs are those known."""

    def find(self) -> Mapping[Experiment, Sequence[FoundRun]]:
        """Returns the runs of each experiment; see `Source`."""
        found: dict[Experiment, list[FoundRun]] = {}
        problems = list(filter(None, map(self._look, self._folders)))
        self.notice = "; ".join(problems)
        for folder in self._folders:
            for run in self._listed.get(folder, ()):
                # As TensorBoard names it: the run at the root of a prefix is `prefix/.`.
                name = f"{folder.prefix}/{run.name}" if folder.prefix else run.name
                named = dataclasses.replace(run, name=name)
                found.setdefault((run.logdir, experiment_of(name)[0]), []).append(named)
        return found

    def _look(self, folder: Folder) -> str:
        """Lists the runs of a folder, or returns why it cannot be looked into."""
        if problem := place.obstacle(folder.path):
            return f"{folder.path}: {problem}"
        try:
            self._listed[folder] = find_runs(folder.path) if place.may_exist(folder.path) else []
        except BnTbError as error:
            return str(error)
        return ""

    def read(self, runs: Sequence[FoundRun]) -> list[Run]:
        """Reads what is new in the runs of one experiment."""
        return [self._read(run, MAX_POINTS // len(runs)) for run in runs]

    def _read(self, run: FoundRun, max_points: int) -> Run:
        key = (run.logdir, run.name)
        if key not in self._readers:
            self._readers[key] = RunReader(run.name, run.logdir, self._patterns, max_points)
        reader = self._readers[key]
        read_or_refuse(reader, run)
        return completed(reader.run(), run, self._patterns)

    def forget(self, runs: Sequence[FoundRun]) -> None:
        """Frees the memory of the readers of these runs."""
        for run in runs:
            self._readers.pop((run.logdir, run.name), None)
