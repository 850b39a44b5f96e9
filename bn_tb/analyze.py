"""`bn_tb.analyze LOGDIR`: parse, call the library, print."""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import bn_tb
from bn_tb import terminal
from bn_tb.command import pages
from bn_tb.command.flags import parse, refuse_contradictions
from bn_tb.errors import BnTbError

if TYPE_CHECKING:
    from bn_tb.reports.report import Report

MODES = {"show_tags": "show_tags", "diff": "diff", "watch": "watch_terminal"}
"""Flags that want something else than a report, and the module of `bn_tb.command` that does it."""

UNUSABLE = 2
BUG = 70
"""EX_SOFTWARE of sysexits.h: neither clean nor findings, so that no gate takes a bug for either."""
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def console_main() -> None:
    """Runs the command line and exits; errors that a person can act on are one line."""
    # What the caller closed (`>&-`) is None; these stay open until the end.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        status = main(sys.argv[1:])
    except BnTbError as error:
        terminal.note(str(error))
        status = UNUSABLE
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception:  # Python would exit with 1, which says findings
        terminal.note_bug()
        status = BUG
    sys.exit(status)


def main(argv: list[str]) -> int:
    """Runs the command line and returns its exit status."""
    flags, logdirs = parse(argv)
    if page := pages.page(flags):
        terminal.write_stdout(page)
        return 0
    refuse_contradictions(flags, logdirs)
    from bn_tb import settings  # not above: --help needs neither, nor numpy
    from bn_tb.command import judge, means

    chosen = settings.choose(flags)
    by = means.choose(flags, logdirs)
    if mode := next((MODES[name] for name in MODES if flags[name].value), None):
        module = importlib.import_module(f"bn_tb.command.{mode}")
        return int(module.run(flags, logdirs, chosen))
    report = judge.judge(logdirs, chosen, flags.update_baseline, by, flags.quiet)
    terminal.write(flags, _text(report, flags))
    return int(report.exit_code)


def _text(report: "Report", flags: Any) -> str:
    if flags.statistics:
        from bn_tb.reports import statistics

        return statistics.render(report)
    return bn_tb.render(report, flags.format, terminal.view(flags))


if __name__ == "__main__":
    console_main()
