"""How far a training is: from before its first step, for whoever waits or reads a log later."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator

import rich.console
import rich.progress

from bn_tb import terminal

PATIENCE = 10.0
"""Seconds without a line after which the reader of a log wonders whether the training stands."""
LOADING = "starting TensorFlow"


@contextlib.contextmanager
def told(
    steps: int,
    console: rich.console.Console | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[], None]]:
    """Yields what to call after each step; TensorFlow is imported inside, which takes seconds.

    A terminal shows a bar, of which nothing stays. Elsewhere standard error gets a line before
    TensorFlow starts, one after the first step, and then one every `PATIENCE` seconds.

    Args:
      steps: How many there will be.
      console: Where standard output goes.
      now: Returns seconds.
    """
    console = console or rich.console.Console()
    if console.is_terminal:
        with _bar(console) as bar:
            yield _on(bar, steps)
    else:
        terminal.note(f"{LOADING} ...")
        yield _in_lines(steps, now)


def _bar(console: rich.console.Console) -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.fields[steps]}"),
        rich.progress.TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _on(bar: rich.progress.Progress, steps: int) -> Callable[[], None]:
    task = bar.add_task(LOADING, total=None, steps="")  # without a total the bar pulses
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        words = f"step {done:,} of {steps:,}"
        bar.update(task, description="training", total=steps, completed=done, steps=words)

    return step


def _in_lines(steps: int, now: Callable[[], float]) -> Callable[[], None]:
    done, due = 0, -math.inf

    def step() -> None:
        nonlocal done, due
        done += 1
        if now() >= due:
            terminal.note(f"step {done:,} of {steps:,}")
            due = now() + PATIENCE

    return step
