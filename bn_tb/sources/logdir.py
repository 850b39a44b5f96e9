"""Which runs logdirs hold, which files, in which order; bytes to Run."""

import collections
import dataclasses
import functools
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from bn_tb.errors import fault_in_words
from bn_tb.events.run_reader import MAX_POINTS, RunReader
from bn_tb.events.together import (
    GROUP_BYTES,
    GROUP_RUNS,
    SMALL_BYTES,
    JoinedRuns,
    SmallRun,
    read_together,
)
from bn_tb.files import place
from bn_tb.files.found import Folder, FoundFile
from bn_tb.runs import tags
from bn_tb.runs.experiment import experiment_of
from bn_tb.runs.run import FileReport, Run
from bn_tb.sources import hyperparameters
from bn_tb.sources.found_checkpoints import homes, is_checkpoint, is_run
from bn_tb.sources.hyperparameters import with_hyperparameters

_WORTH_PROCESSES = 64 << 20  # bytes; half a second of work

_ALL_POINTS = 3 * MAX_POINTS
_MIN_POINTS = 1 << 12  # of a run, however many there are

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far the reading is.

    Attributes:
      bytes_read: Bytes so far.
      bytes_found: Bytes of all event files.
      runs_read: Runs finished.
      runs_found: Runs to read.
      workers: Workers of a cluster; 0 without one.
    """

    bytes_read: int
    bytes_found: int
    runs_read: int
    runs_found: int
    workers: int = 0


@dataclasses.dataclass(frozen=True)
class FoundRun:
    """A run before it is read.

    Attributes:
      name: Folder relative to the logdir, with `/`; `.` for the logdir itself.
      logdir: As given by the caller.
      files: Event files in order of their names, which begin with their time.
      beside: A hparams.yaml in the same folder, if there is one.
      checkpoints: Files of the checkpoints that belong to it.
      size: Bytes of all files.
      problem: Why the folder could not be listed, or an empty string.
    """

    name: str
    logdir: str
    files: tuple[FoundFile, ...]
    size: int = 0
    problem: str = ""
    beside: tuple[FoundFile, ...] = ()
    checkpoints: tuple[FoundFile, ...] = ()


_Task = tuple[FoundRun, int]  # a run and how many points it may hold
_Read = JoinedRuns | Sequence[RunReader]


def read_logdir(
    paths: Paths,
    patterns: tags.TagPatterns = tags.TagPatterns(),
    *,
    progress: Callable[[Progress], None] | None = None,
    jobs: int = 1,
    checkpoints: bool = True,
) -> Iterator[Run]:
    """Reads the runs of one or several logdirs, one run at a time.

    Runs of one experiment (see `experiment_of`) follow each other, so that
    `events.experiment.by_experiment` can group them without holding the others in memory.

    Args:
      paths: Folders, searched recursively as TensorBoard does, single event files or checkpoints.
      patterns: Names of statistics taught by the user.
      progress: Called some times a second.
      jobs: Processes to use where that is faster; runs and their order are the same.
      checkpoints: Whether to read checkpoints too.

    Yields:
      One Run per folder that holds event files, or checkpoints that belong to no other; experiments
      in alphabetical order.

    Raises:
      UsageError: A path does not exist, or a remote one cannot be listed.
    """
    found = find_runs(paths, checkpoints)
    yield from read_found(found, patterns, progress=progress, jobs=jobs)


def read_found(
    found: Sequence[FoundRun],
    patterns: tags.TagPatterns = tags.TagPatterns(),
    *,
    progress: Callable[[Progress], None] | None = None,
    jobs: int = 1,
) -> Iterator[Run]:
    """Reads runs that `find_runs` returned, as `read_logdir` does."""
    limits = point_limits(found)
    done = Progress(0, sum(run.size for run in found), 0, len(found))

    def report(read: int) -> None:
        nonlocal done
        done = dataclasses.replace(done, bytes_read=done.bytes_read + read)
        if progress is not None:
            progress(done)

    groups = _grouped(zip(found, limits, strict=True))
    if jobs > 1 and len(found) > 1 and done.bytes_found > _WORTH_PROCESSES and can_fork():
        from bn_tb.sources.processes import in_order  # its imports cost small logdirs too much

        work = functools.partial(_read_group, patterns=patterns)
        costs = [sum(each.size for each, _ in group) for group in groups]
        runs = itertools.chain.from_iterable(map(_runs, in_order(work, groups, costs, jobs)))
        for read, each in zip(runs, found, strict=True):
            run = completed(read, each, patterns)
            done = dataclasses.replace(done, runs_read=done.runs_read + 1)
            report(sum(file.bytes for file in run.files))
            yield run
        return
    for group in groups:
        for read, (each, _) in zip(_runs(_read_group(group, patterns, report)), group, strict=True):
            yield completed(read, each, patterns)
            done = dataclasses.replace(done, runs_read=done.runs_read + 1)
            report(0)


def read_run(
    found: FoundRun,
    patterns: tags.TagPatterns = tags.TagPatterns(),
    max_points: int = MAX_POINTS,
) -> Run:
    """Reads one run; its series are thinned to `max_points` in all, about."""
    (run,) = _runs(_read_group([(found, max_points)], patterns))
    return completed(run, found, patterns)


def completed(run: Run, found: FoundRun, patterns: tags.TagPatterns = tags.TagPatterns()) -> Run:
    """Returns a run with what lies beside its event files: hyperparameters and checkpoints.

    A fault that nobody foresaw in reading checkpoints costs them alone.
    """
    run = with_hyperparameters(run, found.beside)
    if not found.checkpoints:
        return run
    from bn_tb.sources.checkpoints import with_checkpoints  # logdirs without any do not need it

    try:
        return with_checkpoints(run, found.checkpoints, patterns)
    except Exception as error:
        first = found.checkpoints[0]
        report = FileReport(first.path, 0, 0, "corrupt", fault_in_words(error), "checkpoint")
        return dataclasses.replace(run, files=(*run.files, report))


def _grouped(tasks: Iterable[_Task]) -> list[list[_Task]]:
    """Puts small runs that follow each other together, as many as are worth it."""
    groups, room = list[list[_Task]](), 0
    for task in tasks:
        found = task[0]
        small = len(found.files) == 1 and not found.problem and 0 < found.size <= SMALL_BYTES
        if small and found.size <= room and len(groups[-1]) < GROUP_RUNS:
            groups[-1].append(task)
            room -= found.size
        else:
            groups.append([task])
            room = GROUP_BYTES - found.size if small else 0
    return groups


def _read_group(
    group: Sequence[_Task],
    patterns: tags.TagPatterns,
    progress: Callable[[int], None] | None = None,
) -> _Read:
    """Reads some runs, together if that can be done, to what is quick to send elsewhere."""
    if len(group) > 1 and (joined := _read_together(group, patterns)):
        if progress is not None:
            progress(sum(run.size for run, _ in group))
        return joined
    readers = [RunReader(run.name, run.logdir, patterns, points) for run, points in group]
    for reader, (run, _) in zip(readers, group, strict=True):
        read_or_refuse(reader, run, progress)
    return [reader.compact() for reader in readers]


def _read_together(group: Sequence[_Task], patterns: tags.TagPatterns) -> JoinedRuns | None:
    """Returns small runs if they could be read together; if not, each is read alone."""
    small = [SmallRun(run.name, run.logdir, run.files[0], points) for run, points in group]
    try:
        return read_together(small, patterns)
    except Exception:  # of the run that is at fault, its own reading tells
        return None


def _runs(read: _Read) -> Iterator[Run]:
    return read.runs() if isinstance(read, JoinedRuns) else (reader.run() for reader in read)


def read_or_refuse(
    reader: RunReader, found: FoundRun, progress: Callable[[int], None] | None = None
) -> tuple[FileReport, ...]:
    """Reads what is new in a run; a fault that nobody foresaw costs this run and no other."""
    try:
        return read_on(reader, found, progress)
    except Exception as error:
        path = found.files[0].path if found.files else found.name
        return reader.refuse(path, fault_in_words(error))


def read_on(
    reader: RunReader, found: FoundRun, progress: Callable[[int], None] | None = None
) -> tuple[FileReport, ...]:
    """Reads what is new in a run and returns what became of its files."""
    if found.problem:
        return reader.refuse(found.files[0].path, found.problem)
    return reader.read(found.files, progress)


def experiment_key(run: FoundRun) -> tuple[str, str]:
    """Returns what the runs of one experiment have in common."""
    return run.logdir, experiment_of(run.name)[0]


def point_limits(found: Sequence[FoundRun]) -> list[int]:
    """Returns how many points each run may hold, so that all of them fit into memory at once.

    A run gets its share of `_ALL_POINTS` by its bytes, and at most its share of what an experiment
    may have, by number.
    """
    parts = collections.Counter(map(experiment_key, found))
    total = sum(run.size for run in found) or 1
    return [
        max(
            _MIN_POINTS,
            min(MAX_POINTS // parts[experiment_key(run)], _ALL_POINTS * run.size // total),
        )
        for run in found
    ]


def as_list(paths: Paths) -> list[str]:
    """Returns one or several paths as text."""
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def find_runs(paths: Paths, checkpoints: bool = True) -> list[FoundRun]:
    """Returns the runs of one or several logdirs in the order in which they are read.

    Args:
      paths: Folders, event files, checkpoints, or prefixes of TensorFlow checkpoints.
      checkpoints: Whether to look for checkpoints.

    Raises:
      UsageError: A path does not exist, or a remote one cannot be listed.
    """
    runs = list[FoundRun]()
    for logdir in as_list(paths):
        folders = list(_folders(logdir, checkpoints))
        runs += sorted(_found(folders, logdir), key=lambda run: (experiment_key(run), run.name))
    return runs


def may_exist(path: str) -> bool:
    """Returns whether a path, or a TensorFlow checkpoint of this prefix, exists."""
    return place.may_exist(path) or place.may_exist(f"{path}.index")


def _folders(logdir: str, checkpoints: bool) -> Iterator[Folder]:
    if checkpoints and not place.is_url(logdir) and not os.path.exists(logdir):
        index = f"{logdir}.index"
        if os.path.exists(index):
            for folder in place.folders(os.path.dirname(logdir) or ".", is_checkpoint):
                if folder.name == ".":
                    kept = [file for file in folder.files if file.path.startswith(f"{logdir}.")]
                    yield dataclasses.replace(folder, files=tuple(kept))
            return

    def wanted(name: str) -> bool:
        return (
            is_event_file(name)
            or name == hyperparameters.FILE
            or (checkpoints and is_checkpoint(name))
        )

    yield from place.folders(logdir, wanted)


def _found(folders: Sequence[Folder], logdir: str) -> Iterator[FoundRun]:
    """Yields the runs of a logdir: folders with event files, and checkpoints without any."""
    runs, models = dict[str, FoundRun](), dict[str, tuple[FoundFile, ...]]()
    for folder in folders:
        one, checkpoints = _split(folder, logdir)
        if one.files:
            runs[folder.name] = one
        if checkpoints:
            models[folder.name] = checkpoints
    found = homes(models.keys(), runs.keys())
    told = {
        folder: home
        for folder, home in found.items()
        if home in runs or is_run(models[folder]) or models[folder][0].path == logdir
    }
    if not runs and not told:  # then what need not be a model is looked at
        models = {name: tuple(filter(_is_model, files)) for name, files in models.items()}
        told = {folder: home for folder, home in found.items() if models[folder]}
    for folder_name, home in told.items():
        run = runs.get(home) or FoundRun(home, logdir, ())
        runs[home] = dataclasses.replace(run, checkpoints=(*run.checkpoints, *models[folder_name]))
    yield from runs.values()


def _split(folder: Folder, logdir: str) -> tuple[FoundRun, tuple[FoundFile, ...]]:
    """Returns the run of a folder, without files if it has none, and its checkpoints."""
    if folder.problem:
        return FoundRun(folder.name, logdir, (FoundFile(folder.path),), 0, folder.problem), ()
    files, beside, models = list[FoundFile](), list[FoundFile](), list[FoundFile]()
    for file in folder.files:
        name = _name(file)
        saved = is_checkpoint(name) or (file.path == logdir and _is_model(file))
        kind = beside if name == hyperparameters.FILE else models if saved else files
        kind.append(file)
    size = sum(file.size for file in files)
    return FoundRun(folder.name, logdir, tuple(files), size, beside=tuple(beside)), tuple(models)


def _is_model(file: FoundFile) -> bool:
    """Returns whether a file whose name does not tell is a checkpoint by its bytes."""
    if is_event_file(_name(file)):
        return False
    from bn_tb.checkpoints import formats  # most calls see no checkpoint

    try:
        with place.open_file(place.look(file)) as opened:
            return formats.is_known(opened)
    except OSError:
        return False


def _name(file: FoundFile) -> str:
    return file.path.replace(os.sep, "/").rpartition("/")[2]


def is_event_file(name: str) -> bool:
    """Returns whether TensorBoard takes a file of this name for an event file with summaries.

    https://github.com/tensorflow/tensorboard/blob/2.15.0/tensorboard/backend/event_processing/io_wrapper.py#L60-L75
    """
    return "tfevents" in name and not name.endswith(".profile-empty")


def can_fork() -> bool:
    """Returns whether copies of this process can be made at once and safely."""
    return sys.platform == "linux" and threading.active_count() == 1
