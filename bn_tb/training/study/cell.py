"""A cell of a study: one training, whose settings, event files and tables share a folder.

The table `results.csv` is written last and at once, so it marks a finished cell. A study that is
started again skips finished cells and starts each interrupted one anew in an empty folder.
"""

import csv
import io
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence

from bn_tb.errors import UsageError

RESULTS = "results.csv"
_SETTINGS = "settings.json"

Row = Mapping[str, object]


def complete(
    folder: pathlib.Path, settings: Row, train: Callable[[], Mapping[str, Sequence[Row]]]
) -> None:
    """Runs a cell, unless it is finished.

    Args:
      folder: Of the cell. What an interrupted run left in it is deleted.
      settings: All that the tables depend on.
      train: Writes event files into `folder`; returns the rows of each table by its file name,
        among them `RESULTS`.

    Raises:
      UsageError: The folder holds a cell that was made with other settings, or no cell.
    """
    if _is_finished(folder, settings):
        return
    _start(folder, settings)
    tables = dict(train())
    results = tables.pop(RESULTS)
    for name, rows in tables.items():
        _write_table(folder / name, rows)
    _write_table(folder / RESULTS, results)


def _is_finished(folder: pathlib.Path, settings: Row) -> bool:
    """Returns whether the cell in `folder` has its results.

    Raises:
      UsageError: The cell was made with other settings.
    """
    if not (folder / _SETTINGS).exists():
        return False
    made_with = json.loads((folder / _SETTINGS).read_text())
    wanted = json.loads(json.dumps(settings))
    different = [key for key in wanted if made_with.get(key) != wanted[key]]
    if different:
        key = different[0]
        raise UsageError(
            f"{folder}: was made with {key} {made_with.get(key)}, not {wanted[key]}; give another "
            "--logdir, or delete this folder"
        )
    return (folder / RESULTS).exists()


def _start(folder: pathlib.Path, settings: Row) -> None:
    """Empties the folder of a cell that was interrupted, or makes a new one.

    Raises:
      UsageError: The folder holds something, but no cell.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _SETTINGS).exists():
            raise UsageError(f"{folder}: holds files that no study made; give another --logdir")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=1) + "\n")


def _write_table(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """Writes a CSV file whose columns are the keys of the first row; whole, or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text.getvalue())
    os.replace(unfinished, path)


def _read_table(path: pathlib.Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def gather_tables(
    folders: Iterable[pathlib.Path], name: str, into: pathlib.Path
) -> list[dict[str, str]]:
    """Returns the rows of the table `name` of all cells, and writes them to one file in `into`."""
    rows = [row for folder in folders for row in _read_table(folder / name)]
    _write_table(into / name, rows)
    return rows
