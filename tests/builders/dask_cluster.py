"""A Dask scheduler and workers as processes of their own, over TCP on 127.0.0.1."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from tests.places import ROOT

PRELOAD = pathlib.Path(__file__).parent / "worker_preload.py"
MOST_SECONDS = "300"
"""After which what a test leaves behind ends by itself."""


class DaskCluster:
    """Processes of a cluster, and the pipes by which a test talks to its workers.

    Attributes:
      file: The scheduler file.
      scheduler: The process of the scheduler.
      workers: The processes that `dask worker` started; each is the nanny of one worker.
    """

    def __init__(self, folder, **environment):
        self.file, self._pipes = folder / "scheduler.json", folder
        self._environment = (
            os.environ
            | environment
            | {
                "PYTHONPATH": str(ROOT),
                "BN_TB_TEST_PIPES": str(folder),
                "DASK_DISTRIBUTED__WORKER__PRELOAD": str(PRELOAD),
                "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2",
            }
        )
        os.mkfifo(folder / "never")
        self.scheduler = self._start(
            "scheduler",
            "--scheduler-file",
            self.file,
            "--port",
            "0",
            "--no-dashboard",
            "--idle-timeout",
            MOST_SECONDS,
        )
        self.workers = []

    def ready(self):
        """Waits for the scheduler to have written its file, which a waiting worker shows."""
        from distributed import Client

        with Client(scheduler_file=str(self.file), timeout=60) as client:
            client.wait_for_workers(max(len(self.workers), 1), timeout=60)

    def add_worker(self):
        """Starts a worker with a nanny."""
        self.workers.append(
            self._start(
                "worker",
                "--scheduler-file",
                self.file,
                "--nthreads",
                "1",
                "--no-dashboard",
                "--death-timeout",
                "30",
            )
        )

    def for_workers_of_our_own(self):
        """Returns the environment in which `--scheduler=local` starts workers like these."""
        names = ("BN_TB_TEST_PIPES", "DASK_DISTRIBUTED__WORKER__PRELOAD")
        return {name: self._environment[name] for name in names}

    def held(self):
        """Yields, once the run `slow` is being judged, the process id of its worker."""
        return _Held(self._pipes / "pids")

    def _start(self, what, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", *map(str, arguments)],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that it ends with all its children
        )

    def address(self):
        """Returns the address of the scheduler once it is up."""
        return json.loads(self.file.read_text())["address"]

    def close(self):
        """Ends every process that was started."""
        for process in (*self.workers, self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class _Held:
    """The pipe by which a worker says that it is at work; no other worker stops once it is gone."""

    def __init__(self, path):
        self._path = path
        os.mkfifo(path)

    def __enter__(self):
        return self

    def worker(self):
        """Waits for a worker to be held; returns its process id. Later ones are not held."""
        pid = int(self._path.read_text())
        self._path.unlink()
        return pid

    def __exit__(self, *_):
        self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def running(folder, workers=2, **environment):
    """Runs a cluster until the block ends."""
    cluster = DaskCluster(folder, **environment)
    try:
        for _ in range(workers):
            cluster.add_worker()
        cluster.ready()
        yield cluster
    finally:
        cluster.close()
