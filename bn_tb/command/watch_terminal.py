"""How `--watch` shows what it sees: redrawn on a terminal, one line per change in a pipe."""

import datetime
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from bn_tb import terminal
from bn_tb.command.hook import Hook
from bn_tb.command.watch import Look, Watcher, pauses
from bn_tb.errors import UsageError
from bn_tb.gates.compare import Change, Kind
from bn_tb.reports import render, wording
from bn_tb.reports.json_report import finding_document
from bn_tb.reports.report import Report, View
from bn_tb.reports.safe_text import one_line
from bn_tb.settings import Settings
from bn_tb.sources.follow import Follower

NAMED_LAYERS = 3
SHOWN_CHANGES = 5
"""Changes above the report on a terminal."""

Show = Callable[[Look], bool]
"""Shows a look; returns whether somebody still watches."""


def run(flags: Any, logdirs: list[str], settings: Settings) -> int:
    """Follows logdirs until Ctrl-C; returns the exit status.

    Raises:
      UsageError: The report was wanted in another form or place.
    """
    if flags.format != "text" or flags.output:
        raise UsageError("--watch writes text to standard output; leave --format and --output out")
    follower = Follower(logdirs, settings.patterns(), settings.checkpoints)
    hook = Hook(flags.on_finding, terminal.note) if flags.on_finding else None
    watcher = Watcher(follower, settings.options(), settings.gate())
    return watch(watcher, pauses(), terminal.view(flags), hook)


def watch(watcher: Watcher, ticks: Iterable[None], view: View, hook: Hook | None) -> int:
    """Looks at every tick until Ctrl-C or a closed pipe ends it; returns the last exit status."""
    status = 0
    try:
        with _shown(view) as show:
            for _ in ticks:
                look = watcher.look()
                status = int(look.report.exit_code)
                if hook:
                    _alarm(hook, look)
                if not show(look):
                    break
    except KeyboardInterrupt:
        pass
    if hook:
        hook.wait()
    return status


def change_line(change: Change, report: Report, now: datetime.datetime) -> str:
    """Returns a change as one line: when, what, where."""
    finding, run = change.finding, change.run
    step = run.subject.run.last_step
    state = "appeared" if change.kind is Kind.CAUSED else "cured"
    where = wording.run_name(report, run)
    if change.layers:
        where += f": {wording.listed(change.layers, NAMED_LAYERS)}"
    at = "" if step is None else f" step {step}"
    return one_line(
        f"{now:%Y-%m-%d %H:%M:%S}{at} {state} {finding.severity.label} "
        f"{finding.code} {finding.name} in {where}"
    )


def _alarm(hook: Hook, look: Look) -> None:
    for change in look.changes:
        if change.kind is Kind.CAUSED and look.report.fails(change.run, change.finding):
            hook.run(finding_document(look.report, change.run, change.finding))
    hook.poll()


@contextmanager
def _shown(view: View) -> Iterator[Show]:
    if not sys.stdout.isatty():
        yield _print_changes
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    lines: list[str] = []
    text = ""

    def redraw(look: Look) -> bool:
        nonlocal text
        now = datetime.datetime.now()
        lines.extend(change_line(change, look.report, now) for change in look.changes)
        text = render(look.report, "text", view)
        recent = "\n".join(lines[-SHOWN_CHANGES:])
        status = (f"\n{now:%H:%M:%S} watching, Ctrl-C ends\n", "dim")
        live.update(Text.assemble(status, recent, "\n\n", Text.from_ansi(text)), refresh=True)
        return True

    with Live(console=Console(), auto_refresh=False, transient=True) as live:
        try:
            yield redraw
        finally:
            live.stop()
            terminal.write_stdout(text)  # in full, as a screen may have been too small for it


def _print_changes(look: Look) -> bool:
    now = datetime.datetime.now()
    lines = [change_line(change, look.report, now) + "\n" for change in look.changes]
    return terminal.write_stdout("".join(lines))
