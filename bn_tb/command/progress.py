"""How far the reading is, for a person who waits at a terminal."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bn_tb.sources.logdir import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PATIENCE = 1.0
"""Seconds after which a person at a terminal wonders what happens."""
REDRAW = 0.1
"""Seconds between two pictures; each takes some milliseconds."""


@contextlib.contextmanager
def told(
    quiet: bool = False,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[Progress], None] | None]:
    """Yields what `read_logdir` takes as `progress`, or None where nobody looks.

    On a terminal, standard error shows bytes and runs once the reading takes a second; nothing of
    it stays.

    Args:
      quiet: Whether to show nothing at all.
      now: Returns seconds.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    due = now() + PATIENCE
    bar: Bar | None = None
    with contextlib.ExitStack() as stack:

        def tell(done: Progress) -> None:
            nonlocal bar, due
            if now() < due:
                return
            due = now() + REDRAW
            bar = bar or stack.enter_context(_bar(done))
            runs = f"{done.runs_read:,} of {done.runs_found:,} runs"
            runs += f", {done.workers:,} workers" if done.workers else ""
            bar.update(bar.task_ids[0], completed=done.bytes_read, runs=runs, refresh=True)

        yield tell


def _bar(done: Progress) -> "Bar":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("bn_tb reads"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[runs]}"),
        console=Console(stderr=True),
        auto_refresh=False,  # a thread beside it would forbid to fork
        transient=True,
    )
    bar.add_task("", total=done.bytes_found, runs="")
    return bar
