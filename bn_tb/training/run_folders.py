"""The two run folders of a model; two trainings in one folder would become one broken curve."""

import pathlib
from typing import NamedTuple

from bn_tb.errors import UsageError


class RunFolders(NamedTuple):
    """Where the event files of a model go."""

    train: pathlib.Path
    test: pathlib.Path


def claim_run_folders(logdir: pathlib.Path, name: str, overwrite: bool) -> RunFolders:
    """Returns `<logdir>/<name>/train` and `/test`, which exist and hold no event file.

    Args:
      logdir: Made if missing.
      name: Of the model.
      overwrite: Whether event files that are there are deleted. Other files never are.

    Raises:
      UsageError: A folder is not empty, or cannot be made.
    """
    folders = RunFolders(logdir / name / "train", logdir / name / "test")
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            if overwrite:
                for path in folder.glob("*tfevents*"):
                    path.unlink()
            elif any(folder.iterdir()):
                raise UsageError(
                    f"{folder}: holds an earlier run, and two in one folder cannot be told apart; "
                    "give --overwrite, or another --name or --logdir"
                )
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be a run folder: {error.strerror}") from error
    return folders
