"""`--show_tags`: how each tag was understood."""

from collections.abc import Iterable
from typing import Any

import bn_tb
from bn_tb import terminal
from bn_tb.reports.safe_text import one_line
from bn_tb.runs.run import Run
from bn_tb.runs.tags import TagPatterns, parse_tag
from bn_tb.settings import Settings


def run(flags: Any, logdirs: list[str], settings: Settings) -> int:
    """Prints the tags of all runs; returns the exit status."""
    patterns = settings.patterns()
    runs = bn_tb.read_logdir(logdirs, patterns, checkpoints=settings.checkpoints)
    terminal.write(flags, tag_table(runs, patterns))
    return 0


def tag_table(runs: Iterable[Run], patterns: TagPatterns) -> str:
    """Returns how each tag of each run was understood, and why."""
    parts = []
    for run in runs:
        parts.append(f"{one_line(run.logdir)}: run {one_line(run.name)}")
        for tag in run.all_tags:
            parsed = parse_tag(tag, patterns)
            if parsed is None:
                parts.append(f"  {one_line(tag)}: not of batch norm")
            else:
                parts.append(
                    f"  {one_line(tag)}: {parsed.role.value} of layer "
                    f"{one_line(parsed.layer) or '(no name)'}, {one_line(parsed.reason)}"
                )
    parts.append("Teach it other names with --mean_tag=REGEX and --variance_tag=REGEX.")
    return "\n".join(parts) + "\n"
