"""One task, one function: some runs in, their rows out, on any machine.

    for task in tasks(experiments(find_runs("s3://bucket/sweep"), Options())):
        rows = judge(task)

Tasks and rows are plain values; whatever can call `judge` on another machine is a scheduler.
"""

import dataclasses
import functools
import hashlib
import itertools
import pathlib
from collections.abc import Iterable, Iterator

import bn_tb
from bn_tb.diagnosis import Options, RunDiagnosis, diagnose
from bn_tb.events.together import GROUP_BYTES
from bn_tb.fleet.row import Row, row_of
from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Verdict
from bn_tb.runs.run import Run
from bn_tb.sources.logdir import FoundRun, experiment_key, read_found
from bn_tb.version import __version__

MOST_RUNS = 64
"""Runs of a task; so many small ones take about a second."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Runs to judge: whole experiments, whose runs are judged together.

    Attributes:
      found: The runs, in reading order.
      options: What the user says about the logs.
    """

    found: tuple[FoundRun, ...]
    options: Options = Options()

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(run.size for run in self.found)


def experiments(found: Iterable[FoundRun], options: Options = Options()) -> Iterator[Task]:
    """Yields a task for each experiment.

    Args:
      found: Runs in the order of `find_runs`.
      options: What the user says about the logs.
    """
    for _, runs in itertools.groupby(found, experiment_key):
        yield Task(tuple(runs), options)


def tasks(parts: Iterable[Task]) -> Iterator[Task]:
    """Yields tasks of a few megabytes each, made of smaller ones with the same options."""
    waiting, size = list[FoundRun](), 0
    options = Options()
    for part in parts:
        waiting += part.found
        size, options = size + part.size, part.options
        if size >= GROUP_BYTES or len(waiting) >= MOST_RUNS:
            yield Task(tuple(waiting), options)
            waiting, size = [], 0
    if waiting:
        yield Task(tuple(waiting), options)


def judge(task: Task) -> list[Row]:
    """Reads and judges the runs of a task; returns one row a run, in their order.

    Whatever is wrong with a run costs its own row.
    """
    runs = read_found(task.found, task.options.patterns)
    return list(map(row_of, diagnose(runs, task.options)))


def lost(task: Task, reason: str) -> list[Row]:
    """Returns the rows of runs that could not be judged."""
    subjects = (Subject(Run(run.name, run.logdir)) for run in task.found)
    verdict = Verdict.UNREADABLE.label
    return [row_of(RunDiagnosis(subject, verdict, problem=reason)) for subject in subjects]


@functools.cache
def edition() -> str:
    """Returns what differs between two versions or states of this package."""
    digest = hashlib.sha256()
    root = pathlib.Path(bn_tb.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"
