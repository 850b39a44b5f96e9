"""`--show_tags`: how each tag was understood, and what was read of checkpoints."""

from collections.abc import Iterable, Iterator
from typing import Any

import bn_tb
from bn_tb import terminal
from bn_tb.reports.safe_text import one_line
from bn_tb.runs.run import FileReport, Run
from bn_tb.runs.tags import TagPatterns, parse_tag
from bn_tb.settings import Settings


def run(flags: Any, logdirs: list[str], settings: Settings) -> int:
    """Prints the tags of all runs; returns the exit status."""
    patterns = settings.patterns()
    runs = bn_tb.read_logdir(logdirs, patterns, checkpoints=settings.checkpoints)
    terminal.write(flags, tag_table(runs, patterns))
    return 0


def tag_table(runs: Iterable[Run], patterns: TagPatterns) -> str:
    """Returns how each tag of each run was understood, and why; first its checkpoints."""
    parts = []
    for run in runs:
        parts.append(f"{one_line(run.logdir)}: run {one_line(run.name)}")
        parts += _checkpoints(run)
        parts += [f"  {one_line(tag)}: {_understood(run, tag, patterns)}" for tag in run.all_tags]
    parts.append("Teach it other names with --mean_tag=REGEX and --variance_tag=REGEX.")
    return "\n".join(parts) + "\n"


def _understood(run: Run, tag: str, patterns: TagPatterns) -> str:
    parsed = parse_tag(tag, patterns)
    if parsed is None:
        return "not of batch norm"
    layer = one_line(parsed.layer) or "(no name)"
    return f"{parsed.role.value} of layer {layer}, {one_line(parsed.reason)}{_read(run, tag)}"


def _read(run: Run, tag: str) -> str:
    if tag not in run.checkpoint_tags:
        return ""
    points = run.histograms[tag].steps.size
    return f"; read of {points} checkpoint{'s' * (points > 1)}"


def _checkpoints(run: Run) -> Iterator[str]:
    """Yields a line per checkpoint: its format, its step, or why nothing could be read."""
    told = {one.path: one for one in run.checkpoints}
    for file in run.files:
        if file.kind != "checkpoint":
            continue
        one = told.get(file.path)
        if file.status != "ok":
            what = f"not read: {one_line(file.detail)}"
        elif one is None:
            what = f"{file.events} tensors, no moving statistics among them"
        else:
            what = f"{one.format}, {'step' if one.counted else 'point'} {one.step}, {_size(file)}"
        yield f"  checkpoint {one_line(file.path)}: {what}"


def _size(file: FileReport) -> str:
    return f"{file.events} tensors in {file.bytes} bytes"
