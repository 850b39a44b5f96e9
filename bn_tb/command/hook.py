"""A command of the user, run for findings, without a shell."""

import collections
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from bn_tb.errors import UsageError

MOST_AT_ONCE = 4
"""Commands that run at the same time; the others wait for their turn."""


class Hook:
    """Runs a command with a JSON document on its standard input.

    The command is split like a shell does it, once, before any log is read; nothing of a log is
    ever part of it. Its output goes to standard error.
    """

    def __init__(self, command: str, note: Callable[[str], None]) -> None:
        """Checks the command.

        Args:
          command: Program and arguments, such as `notify-send 'batch norm'`.
          note: Takes a line for people.

        Raises:
          UsageError: The command cannot be split or its program does not exist.
        """
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--on_finding={command}: {error}") from None
        if not self._arguments or shutil.which(self._arguments[0]) is None:
            program = self._arguments[0] if self._arguments else ""
            raise UsageError(f"--on_finding: no program {program!r} in PATH")
        self._note = note
        self._waiting: collections.deque[dict[str, Any]] = collections.deque()
        self._running: list[subprocess.Popen[bytes]] = []
        self._failed = False

    def run(self, document: dict[str, Any]) -> None:
        """Runs the command, at once or when another one has ended."""
        self._waiting.append(document)
        self.poll()

    def poll(self) -> None:
        """Looks after commands that ended and starts waiting ones; to be called now and then."""
        for process in [process for process in self._running if process.poll() is not None]:
            self._running.remove(process)
            if process.returncode:
                self._report(f"ended with exit status {process.returncode}")
        while self._waiting and len(self._running) < MOST_AT_ONCE:
            self._start(self._waiting.popleft())

    def wait(self) -> None:
        """Runs all that is waiting and waits for the ends."""
        while self._running or self._waiting:
            for process in self._running:
                process.wait()
            self.poll()

    def _start(self, document: dict[str, Any]) -> None:
        # A file and not a pipe: a command that does not read must not block us.
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(document).encode("ascii"))
            file.seek(0)
            try:
                self._running.append(
                    subprocess.Popen(
                        self._arguments, stdin=file, stdout=sys.__stderr__, start_new_session=True
                    )
                )
            except OSError as error:
                self._report(f"cannot be started: {error.strerror}")

    def _report(self, failure: str) -> None:
        if not self._failed:
            self._note(f"--on_finding: {self._arguments[0]} {failure} (said once)")
        self._failed = True
