"""All runs of a call: those that the cache knows, and the others by whoever judges them."""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from bn_tb.diagnosis import Options, RunDiagnosis
from bn_tb.errors import BnTbError
from bn_tb.fleet.cache import Cache
from bn_tb.fleet.judging import Task, experiments, judge, tasks
from bn_tb.fleet.row import Row, diagnoses_of
from bn_tb.sources.logdir import FoundRun, Progress, can_fork
from bn_tb.sources.processes import in_order

Engine = Callable[[Sequence[Task]], Iterator[tuple[Task, list[Row]]]]
"""Judges tasks and yields each with its rows, in any order."""


class LostError(BnTbError):
    """Whoever judges is gone; what was judged before counts."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of all runs.

    Attributes:
      diagnoses: Of the runs that were judged, in reading order, without series.
      problem: Why the others were not, or an empty string.
    """

    diagnoses: tuple[RunDiagnosis, ...]
    problem: str = ""


def judge_all(
    found: Iterable[FoundRun],
    options: Options,
    engine: Engine,
    cache: Cache | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Judges runs; Ctrl-C or a lost engine leaves what was judged until then.

    Args:
      found: Runs in the order of `find_runs`.
      options: What the user says about the logs.
      engine: Who judges what the cache does not know.
      cache: Where to look first, and to keep what was judged.
      progress: Called as results arrive.
    """
    parts = list(experiments(found, options))
    known = {part.found: cache.get(part) if cache else None for part in parts}
    unknown = [part for part in parts if known[part.found] is None]
    total = sum(len(part.found) for part in parts)
    left = sum(len(part.found) for part in unknown)
    done = Progress(0, sum(part.size for part in unknown), total - left, total)
    problem = ""
    try:
        for task, rows in engine(list(tasks(unknown))):
            judged = list(_per_experiment(task, rows))
            known |= {part.found: diagnoses_of(own) for part, own in judged}
            if cache:
                cache.put(judged)
            done = dataclasses.replace(
                done,
                bytes_read=done.bytes_read + task.size,
                runs_read=done.runs_read + len(task.found),
            )
            if progress:
                progress(done)
    except KeyboardInterrupt:
        problem = f"interrupted: {total - done.runs_read:,} of {total:,} runs were not judged"
    except LostError as error:
        problem = f"{error}: {total - done.runs_read:,} of {total:,} runs were not judged"
    diagnoses = itertools.chain.from_iterable(judged or () for judged in known.values())
    return Outcome(tuple(diagnoses), problem)


def here(todo: Sequence[Task]) -> Iterator[tuple[Task, list[Row]]]:
    """Judges on this machine, on all its cores where this process can be copied."""
    jobs = min(os.cpu_count() or 1, len(todo))
    if jobs > 1 and can_fork():
        costs = [task.size for task in todo]
        yield from zip(todo, in_order(judge, todo, costs, jobs), strict=True)
    else:
        yield from ((task, judge(task)) for task in todo)


def _per_experiment(task: Task, rows: Iterable[Row]) -> Iterator[tuple[Task, list[Row]]]:
    rows = iter(rows)
    for part in experiments(task.found, task.options):
        yield part, list(itertools.islice(rows, len(part.found)))
