"""Runs judged on the workers of Dask: of this machine, or of a cluster that is there.

Workers get tasks and return rows; event files are read where the worker is. A worker that dies is
replaced by Dask and its tasks are done again; a task that kills its worker again and again is split
until the run at fault is alone, and that run costs its own row.
"""

import collections
import contextlib
import logging
import os
import re
import signal
from collections.abc import Iterator, Sequence
from typing import Any

from bn_tb import plain_values as plain
from bn_tb.errors import UsageError, fault_in_words
from bn_tb.files import remote
from bn_tb.fleet.fleet import LostError
from bn_tb.fleet.judging import Task, edition, experiments, judge, lost
from bn_tb.fleet.row import Row

try:
    import dask
    import distributed
except ImportError:
    raise UsageError("--scheduler needs Dask: pip install distributed") from None

PATIENCE = 30.0
"""Seconds to wait for the scheduler to answer, and for the first worker to join it."""
AHEAD = 3
"""Tasks handed out per worker thread: one that is worked on, the others on their way."""
DEATHS = 3
"""Workers that a task may kill, of our own; else the configuration of the scheduler says."""
OWN = {
    "distributed.scheduler.allowed-failures": DEATHS - 1,
    "distributed.worker.profile.enabled": False,
    # Dask has memory given back to the system at once, and so with each window of a file that is
    # read: a third of a worker's time. To set one of these thresholds freezes the other at 128 KB.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 64 << 20,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 << 20,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
}
"""Configuration of workers of our own."""

_LOCAL = re.compile(r"local(?::([1-9][0-9]{0,3}))?")


class Cluster:
    """Workers that judge; a context manager that closes what it started.

    Attributes:
      workers: How many there were when last asked.
    """

    def __init__(self, scheduler: str, access: remote.Access) -> None:
        """Connects, and compares the workers' edition of this package with ours.

        Args:
          scheduler: `local`, `local:N`, `tcp://HOST:PORT` or another address of Dask's, or a
            scheduler file `*.json`.
          access: How workers get at remote places.

        Raises:
          UsageError: There is no such scheduler, no worker, or one with another bn_tb.
        """
        for name in ("distributed", "distributed.client"):  # Dask sets a level for each
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters, we say
        with contextlib.ExitStack() as stack:
            self._client = _connected(scheduler, stack)
            self.workers = 0
            self._prepare(access)
            self._closing = stack.pop_all()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def judge(self, todo: Sequence[Task]) -> Iterator[tuple[Task, list[Row]]]:
        """Yields tasks with their rows as they are finished; see `fleet.Engine`.

        When a worker dies, Dask suspects every task that it held. So those are done one by one at
        the end: what dies alone is at fault.

        Raises:
          LostError: The scheduler is gone.
        """
        waiting, suspects = collections.deque(todo), collections.deque[Task]()
        running, finished = dict[str, Task](), distributed.as_completed()
        while waiting or running or suspects:
            alone = not (waiting or running)
            if alone:
                waiting.append(suspects.popleft())
            while waiting and len(running) < self._room():
                task = waiting.popleft()
                future = self._client.submit(_judge, task, edition(), pure=False)
                running[future.key] = task
                finished.add(future)
            future = next(finished)
            task = running.pop(future.key)
            if not _killed(future):
                yield task, _rows(task, future)
            elif not alone:
                suspects += experiments(task.found, task.options)
            else:
                yield task, lost(task, "its worker died each time it was read; out of memory?")

    def _room(self) -> int:
        """Returns how many tasks may be under way."""
        try:
            threads: dict[str, int] = self._client.nthreads()
        except OSError:
            raise LostError("the scheduler is gone") from None
        self.workers = len(threads)
        return AHEAD * max(sum(threads.values()), 1)

    def _prepare(self, access: remote.Access) -> None:
        try:
            self._client.wait_for_workers(1, PATIENCE)
        except TimeoutError:
            raise UsageError(f"no worker joined the scheduler within {PATIENCE:g} s") from None
        for worker, answer in self._client.run(edition, on_error="return").items():
            if answer != edition():
                raise UsageError(_refusal(worker, answer))
        if access:
            self._client.register_plugin(_Access(access))


class _Access(distributed.WorkerPlugin):  # type: ignore[misc]
    """Gives each worker, also those that come later, the options of remote places."""

    name = "bn_tb-access"

    def __init__(self, access: remote.Access) -> None:
        self._access = access

    def setup(self, worker: object) -> None:
        remote.use(self._access)


class _Uninterrupted(distributed.WorkerPlugin):  # type: ignore[misc]
    """Leaves Ctrl-C, which a terminal sends to our own workers as well, to us."""

    name = "bn_tb-uninterrupted"

    def setup(self, worker: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _connected(scheduler: str, stack: contextlib.ExitStack) -> Any:
    """Returns a client; what has to be closed is in the stack."""
    local = _LOCAL.fullmatch(scheduler)
    if local:
        stack.enter_context(dask.config.set(OWN))
        cluster = distributed.LocalCluster(
            n_workers=int(local[1] or os.cpu_count() or 1),
            threads_per_worker=1,  # the work holds the interpreter lock
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None warns where another scheduler is
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )
        client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        client.register_plugin(_Uninterrupted())
        return client
    try:
        address = _address(scheduler)
        return stack.enter_context(distributed.Client(address, timeout=PATIENCE))
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler={scheduler}: no scheduler answers: {error}") from None


def _address(scheduler: str) -> str:
    """Returns the address of a scheduler; for a file that is not there, Dask would wait for ever.

    Raises:
      OSError, ValueError: It is in a file that cannot be read.
    """
    if scheduler.endswith(".json"):
        try:
            return str(plain.json_of(plain.read(scheduler))["address"])
        except (KeyError, TypeError):
            raise ValueError("the file has no address in it") from None
    if "://" not in scheduler:
        raise UsageError(
            f"--scheduler={scheduler}: want local, local:N, tcp://HOST:PORT or a FILE.json"
        )
    return scheduler


def _judge(task: Task, wanted: str) -> list[Row]:
    """Judges on a worker that may have come after the others were asked."""
    if edition() != wanted:
        raise UsageError(_refusal(distributed.get_worker().address, edition()))
    return judge(task)


def _killed(future: Any) -> bool:
    return isinstance(_error(future), distributed.scheduler.KilledWorker)


def _rows(task: Task, future: Any) -> list[Row]:
    error = _error(future)
    if isinstance(error, UsageError):
        raise error
    if error is not None:
        return lost(task, fault_in_words(error))
    try:
        rows: list[Row] = future.result()
    except (OSError, distributed.CancelledError):
        raise LostError("the scheduler is gone") from None
    return rows


def _error(future: Any) -> Exception | None:
    """Returns what a finished task raised; waits if its result died with its worker meanwhile.

    Raises:
      LostError: It was not finished, for the connection to the scheduler broke.
    """
    error: Exception | None = future.exception()
    if isinstance(error, distributed.CancelledError):
        raise LostError("the scheduler is gone")
    return error


def _refusal(worker: str, answer: object) -> str:
    other = answer if isinstance(answer, str) else "none that is new enough"
    return (
        f"worker {worker} has another bn_tb ({other}, here {edition()}): install the same one on "
        "workers and here"
    )
