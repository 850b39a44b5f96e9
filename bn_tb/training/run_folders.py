"""The two run folders of a model; two trainings in one folder would become one broken curve."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import filelock

from bn_tb.errors import UsageError

CHECKPOINT = "model.ckpt"
"""What checkpoints are called, before the step."""

LOCK = ".training.lock"
"""Beside the run folders; whether it is locked counts, not whether it is there."""


class RunFolders(NamedTuple):
    """Where the event files of a model go."""

    train: pathlib.Path
    test: pathlib.Path


@contextlib.contextmanager
def claim_run_folders(logdir: pathlib.Path, name: str, overwrite: bool) -> Iterator[RunFolders]:
    """Yields `<logdir>/<name>/train` and `/test`, which exist and hold no run.

    Until the end nobody else can claim them: of trainings that start at once, one gets them. The
    system gives them free when the process ends, however it does.

    Args:
      logdir: Made if missing.
      name: Of the model.
      overwrite: Whether event files and checkpoints of `bn_tb.train` that are there are deleted.
        Other files never are.

    Raises:
      UsageError: Another training writes there, a folder is not empty, or cannot be made.
    """
    folders = RunFolders(logdir / name / "train", logdir / name / "test")
    with contextlib.ExitStack() as stack:
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(logdir / name / LOCK, timeout=0))
            for folder in folders:
                _empty(folder, overwrite)
        except filelock.Timeout:
            raise UsageError(
                f"{logdir / name}: another training writes there now; give another --name or "
                "--logdir"
            ) from None
        except OSError as error:
            reason = f"cannot be a run folder: {error.strerror or error}"
            raise UsageError(f"{error.filename or logdir / name}: {reason}") from error
        yield folders


def _empty(folder: pathlib.Path, overwrite: bool) -> None:
    if overwrite:
        for pattern in ("*tfevents*", f"{CHECKPOINT}-*", "checkpoint"):
            for path in folder.glob(pattern):
                path.unlink()
    elif any(folder.iterdir()):
        raise UsageError(
            f"{folder}: holds an earlier run, and two in one folder cannot be told apart; "
            "give --overwrite, or another --name or --logdir"
        )
