"""`bn_tb.analyze LOGDIR`: parse, call the library, print."""

import dataclasses
import os
import pathlib
import shutil
import sys
from typing import TYPE_CHECKING, Any

import bn_tb
from bn_tb.command import output
from bn_tb.command.flags import help_text, parse
from bn_tb.errors import BnTbError, UsageError

if TYPE_CHECKING:  # what costs time is imported where it is used, so that --help is quick
    from bn_tb.command.settings import Settings
    from bn_tb.reports.report import Report, View

UNUSABLE = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

MAX_WIDTH = 140
"""Columns; prose in wider lines is hard to read."""


def console_main() -> None:
    """Runs the command line and exits; errors that a person can act on are one line."""
    # What the caller closed (`>&-`) is None; these stay open until the end.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        status = main(sys.argv[1:])
    except BnTbError as error:
        output.note(str(error))
        status = UNUSABLE
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def main(argv: list[str]) -> int:
    """Runs the command line and returns its exit status."""
    flags, logdirs = parse(argv)
    if page := _page(flags):
        output.write_stdout(page)
        return 0
    if not logdirs:
        raise UsageError("no LOGDIR given; see bn_tb.analyze --help")
    settings = _settings(flags)
    if flags.on_finding and not flags.watch:
        raise UsageError("--on_finding needs --watch")
    if flags.update_baseline and (flags.watch or flags.diff or flags.show_tags):
        raise UsageError("--update_baseline goes with a report alone")
    modes = {"show_tags": _show_tags, "diff": _diff, "watch": _watch}
    mode = next((mode for name, mode in modes.items() if flags[name].value), _report)
    return mode(flags, logdirs, settings)


def analyze(logdirs: list[str], settings: "Settings", update_baseline: bool = False) -> "Report":
    """Reads logdirs, judges them and applies the gates.

    Args:
      logdirs: Folders or event files; those that cannot be used become `problems` of the report.
      settings: Options, tag patterns and gates.
      update_baseline: Whether to write the findings to `settings.baseline` first.
    """
    from bn_tb.command import unusable
    from bn_tb.gates import baseline

    gate = settings.gate(update_baseline)
    found = [logdir for logdir in logdirs if os.path.exists(logdir)]
    runs = bn_tb.read_logdir(found, settings.patterns(), jobs=os.cpu_count() or 1)
    diagnoses = bn_tb.diagnose(output.progress(runs), settings.options())
    seen = {diagnosis.subject.run.logdir for diagnosis in diagnoses}
    problems = tuple(unusable.why(logdir) for logdir in logdirs if logdir not in seen)
    report = dataclasses.replace(gate, runs=diagnoses, problems=problems)
    if update_baseline:
        report = dataclasses.replace(report, baseline=report.as_baseline())
        output.write_file(settings.baseline, baseline.dump(report.baseline or ()))
    return report


def _page(flags: Any) -> str:
    """Returns the page that was asked for instead of a report, or nothing."""
    if flags.help:
        return help_text()
    if flags.version:
        return f"bn_tb {bn_tb.__version__}\n"
    if flags.completion:
        from bn_tb.command import completion

        return completion.script(flags.completion)
    if not (flags.list_rules or flags.explain):
        return ""
    from bn_tb.command import manual

    return manual.rule_list() if flags.list_rules else manual.rule_page(flags.explain)


def _settings(flags: Any) -> "Settings":
    from bn_tb.command import settings

    file = pathlib.Path(flags.config) if flags.config else settings.find_file(pathlib.Path.cwd())
    configured = settings.load(file) if file else settings.Settings()
    names = {field.name for field in dataclasses.fields(configured)}
    given = {name: flags[name].value for name in names if name in flags and flags[name].present}
    return settings.settled(configured, given, "flag")


def _report(flags: Any, logdirs: list[str], settings: "Settings") -> int:
    report = analyze(logdirs, settings, flags.update_baseline)
    _note(report)
    _write(flags, bn_tb.render(report, flags.format, _view(flags)))
    return int(report.exit_code)


def _show_tags(flags: Any, logdirs: list[str], settings: "Settings") -> int:
    from bn_tb.command import manual

    patterns = settings.patterns()
    _write(flags, manual.tag_table(bn_tb.read_logdir(logdirs, patterns), patterns))
    return 0


def _diff(flags: Any, logdirs: list[str], settings: "Settings") -> int:
    from bn_tb.gates.compare import compare, untouched
    from bn_tb.reports.diff import render_diff

    if len(logdirs) != 2:
        raise UsageError(f"--diff: want two logdirs, OLD NEW, got {len(logdirs)}")
    old, new = (analyze([logdir], settings) for logdir in logdirs)
    for report in (old, new):
        _note(report)
    changes = compare(old.runs, new.runs)
    new = dataclasses.replace(new, baseline=(*(new.baseline or ()), *untouched(changes)))
    _write(flags, render_diff(old, new, changes, flags.format))
    return int(max(new.exit_code, old.exit_code if old.problems else 0))


def _watch(flags: Any, logdirs: list[str], settings: "Settings") -> int:
    from bn_tb.command.hook import Hook
    from bn_tb.command.watch import Watcher, pauses
    from bn_tb.command.watch_terminal import watch
    from bn_tb.events.follow import Follower

    if flags.format != "text" or flags.output:
        raise UsageError("--watch writes text to standard output; leave --format and --output out")
    follower = Follower(logdirs, settings.patterns())
    hook = Hook(flags.on_finding, output.note) if flags.on_finding else None
    return watch(
        Watcher(follower, settings.options(), settings.gate()), pauses(), _view(flags), hook
    )


def _note(report: "Report") -> None:
    """Says on standard error what is about the call and not about the logs."""
    for problem in report.problems:
        output.note(problem)
    for entry in report.unused_suppressions:
        output.note(
            f"unused suppression: {entry.code} layer {entry.layer!r} run {entry.run!r} "
            f"({entry.reason}); nothing needs it any more"
        )


def _write(flags: Any, text: str) -> None:
    if flags.output:
        output.write_file(flags.output, text)
        output.note(f"report written to {flags.output}")
    else:
        output.write_stdout(text)


def _view(flags: Any) -> "View":
    from bn_tb.reports.report import View

    to_file = bool(flags.output)
    width = shutil.get_terminal_size().columns
    return View(
        width=min(max(width, 40), MAX_WIDTH),
        colour=flags.format == "text" and not to_file and output.shows_colour(),
        unicode=to_file or output.shows_unicode(),
        verbose=flags.verbose,
    )


if __name__ == "__main__":
    console_main()
