"""Judged runs, kept: a second look at files that did not change reads no event bytes.

SQLite of the standard library (docs/decisions/0002-the-cache-is-sqlite.md). An entry is the rows
of one experiment under its place, the options and the edition of this package; it holds as long as
size and modification mark of each of its files do, and is replaced when they change.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sqlite3
from collections.abc import Iterable
from typing import Any

from bn_tb.diagnosis import Options, RunDiagnosis
from bn_tb.errors import UsageError
from bn_tb.files import place
from bn_tb.fleet import row
from bn_tb.fleet.judging import Task, edition

NAME = "bn_tb.sqlite3"
PATIENCE = 30.0
"""Seconds to wait for another process that writes."""

_TABLE = """CREATE TABLE IF NOT EXISTS judged
(place TEXT PRIMARY KEY, files TEXT NOT NULL, rows TEXT NOT NULL, digest TEXT NOT NULL)"""


class Cache:
    """A cache in a folder that several processes may share; a context manager that closes it.

    A damaged file is deleted and begun anew; a damaged entry is no entry.
    """

    def __init__(self, folder: str, options: Options) -> None:
        """Opens or begins a cache.

        Args:
          folder: It is made where it does not exist.
          options: Those that all experiments are judged with.

        Raises:
          UsageError: The folder cannot be made or written.
        """
        said = json.dumps(dataclasses.asdict(options), default=_pattern, sort_keys=True)
        self._judge = _digest(edition(), said)
        self._path = pathlib.Path(folder) / NAME
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._opened()
        except (OSError, sqlite3.OperationalError) as error:
            raise UsageError(f"--cache={folder}: cannot be used: {error}") from None

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, experiment: Task) -> list[RunDiagnosis] | None:
        """Returns the diagnoses of one experiment, or None where they are not known as it is."""
        try:
            found = self._connection.execute(
                "SELECT files, rows, digest FROM judged WHERE place = ?", (self._place(experiment),)
            ).fetchone()
        except sqlite3.OperationalError:  # another process writes for longer than our patience
            return None
        except sqlite3.DatabaseError:
            self._begin_anew()
            return None
        if found is None or found[0] != _files(experiment) or found[2] != _digest(*found[:2]):
            return None
        try:
            return row.loads(found[1])
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, judged: Iterable[tuple[Task, list[row.Row]]]) -> None:
        """Keeps the rows of experiments; what could not be read is tried again the next time."""
        entries = [
            (self._place(experiment), files, text, _digest(files, text))
            for experiment, rows in judged
            if all(map(_settled, rows))
            for files, text in [(_files(experiment), row.dumps(rows))]
        ]
        try:
            with self._connection:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO judged VALUES (?, ?, ?, ?)", entries
                )
        except sqlite3.OperationalError:
            pass  # a busy or full disk costs time at the next call, and no report
        except sqlite3.DatabaseError:
            self._begin_anew()

    def _place(self, experiment: Task) -> str:
        """Returns which experiment this is, judged how and by whom; no credentials are in it."""
        first = experiment.found[0]
        here = "" if place.is_url(first.logdir) else os.path.abspath(first.logdir)
        return _digest(self._judge, here, first.logdir, *(run.name for run in experiment.found))

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # not a database, or a damaged one
            self._delete()
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=PATIENCE)
        try:
            with connection:
                connection.execute(_TABLE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _begin_anew(self) -> None:
        self._connection.close()
        self._delete()
        self._connection = self._connected()

    def _delete(self) -> None:
        """Deletes the file, and its journal, which SQLite would play back into the next one."""
        for path in (self._path, self._path.with_name(f"{NAME}-journal")):
            path.unlink(missing_ok=True)


def _files(experiment: Task) -> str:
    """Returns what changes when a file of an experiment does."""
    return _digest(
        *(
            text
            for run in experiment.found
            for file in (*run.files, *run.beside, *run.checkpoints)
            for text in (file.path, str(file.size), file.mark)
        ),
        *(run.problem for run in experiment.found),
    )


def _settled(judged: row.Row) -> bool:
    """Returns whether a run would be judged the same way again: nothing failed on the way."""
    return not judged["problem"] and all(
        file["status"] != "not_event_file" for file in judged["files"]
    )


def _digest(*texts: str) -> str:
    joined = "".join(f"{len(text)}:{text}" for text in texts)  # no two lists look the same
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()


def _pattern(value: Any) -> str:
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    raise TypeError(value)
