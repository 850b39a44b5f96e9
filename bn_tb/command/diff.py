"""`--diff OLD NEW`: which findings a change cured or caused."""

import dataclasses
from typing import Any

from bn_tb import terminal
from bn_tb.command import means
from bn_tb.command.judge import judge
from bn_tb.errors import UsageError
from bn_tb.gates.compare import compare, untouched
from bn_tb.reports.diff import render_diff
from bn_tb.settings import Settings


def run(flags: Any, logdirs: list[str], settings: Settings) -> int:
    """Prints how NEW differs from OLD; returns the exit status, that of what the change caused.

    Raises:
      UsageError: There are not exactly two logdirs.
    """
    if len(logdirs) != 2:
        raise UsageError(f"--diff: want two logdirs, OLD NEW, got {len(logdirs)}")
    by = means.choose(flags, logdirs)
    old, new = (judge([logdir], settings, means=by) for logdir in logdirs)
    changes = compare(old.runs, new.runs)
    new = dataclasses.replace(new, baseline=(*(new.baseline or ()), *untouched(changes)))
    terminal.write(flags, render_diff(old, new, changes, flags.format))
    return int(max(new.exit_code, old.exit_code if old.problems else 0))
