"""The report for a pull request: a summary, and a folded section per run with findings."""

import html
import re
from collections.abc import Iterator

from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.reports import wording
from bn_tb.reports.report import Report, View
from bn_tb.reports.safe_text import one_line, prose_and_code

RUN_ROWS = 50
"""Runs up to which all have a row of the table; GitHub cuts comments at 65,536 characters."""
ROWS_PER_VERDICT = 10
"""Rows of one verdict where there are more runs, unless `verbose`."""
DETAILED_RUNS = 10
"""Runs with a section of their own unless `verbose`; each has a finding that is new."""
NAMED_LAYERS = 10

_MARKUP = re.compile(r"([\\`*\[\]#|~$]|(?<!\w)_|_(?!\w)|^\s*[-+=])")
_MENTION = re.compile(r"([@#])(?=\w)")
_ADDRESS = re.compile(r"(?i)\b(?:(?:https?|ftp|mailto):|www\.)")
_BREAK = "\x00"  # one_line leaves none


def render(report: Report, view: View) -> str:
    """Returns the report as GitHub-flavoured Markdown without any markup from the logs."""
    return "\n".join(_lines(report, view)) + "\n"


def _lines(report: Report, view: View) -> Iterator[str]:
    runs = wording.worst_first(report.runs)
    yield f"## Batch norm: {wording.verdict_counts(runs) or 'nothing to judge'}"
    yield ""
    for problem in report.problems:
        yield f"- {escaped(problem)}"
    if runs:
        yield from _table(report, runs, view)
    told = [run for run in runs if run.findings]
    shown = told if view.verbose else wording.telling(told, DETAILED_RUNS)
    for run in shown:
        yield from _run(report, run)
    if len(told) > len(shown):
        yield ""
        yield f"{wording.count(len(told) - len(shown), 'more run')} with findings."
    for entry in report.cured:
        yield ""
        yield f"Cured since the baseline: {entry.code} in {escaped(entry.run)}."


def _table(report: Report, runs: list[RunDiagnosis], view: View) -> Iterator[str]:
    yield "| verdict | run | why |"
    yield "| --- | --- | --- |"
    most = len(runs) if view.verbose else RUN_ROWS
    shown, left = wording.representatives(runs, most, ROWS_PER_VERDICT)
    for run in shown:
        name = escaped(wording.run_name(report, run))
        yield f"| {_mark(run)} | {name} | {escaped(wording.reason(run))} |"
    if left:
        yield f"| | {wording.count(len(left), 'more run')} | {wording.verdict_counts(left)} |"


def _mark(run: RunDiagnosis) -> str:
    healthy = run.verdict in ("healthy", "unknown", "no-batch-norm", "frozen")
    return run.verdict if healthy else f"**{run.verdict}**"


def _run(report: Report, run: RunDiagnosis) -> Iterator[str]:
    title = f"{wording.run_name(report, run)}: {run.verdict}, {wording.extent(run)}"
    yield ""
    yield f"<details{'' if run.verdict == 'healthy' else ' open'}>"
    yield f"<summary>{_inside_html(title.rstrip(', '))}</summary>"
    for finding in run.findings:
        yield from _finding(report, run, finding)
    yield ""
    yield "</details>"


def _finding(report: Report, run: RunDiagnosis, finding: Finding) -> Iterator[str]:
    state = [finding.severity.label, finding.confidence.label]
    if report.baseline is not None:
        state.append("known" if report.known(finding) else "new")
    if reason := report.suppressed(run, finding):
        state.append(f"suppressed: {reason}")
    yield ""
    yield f"#### {finding.code} {finding.name} ({escaped(', '.join(state))})"
    yield ""
    yield escaped(finding.message)
    yield ""
    if finding.layers and finding.layers[0] not in finding.message:
        yield f"- Layers: {escaped(wording.listed(finding.layers, NAMED_LAYERS))}"
    for line in finding.evidence:
        yield f"- {escaped(line)}"
    if finding.causes:
        yield f"- Causes: {escaped(wording.causes(finding))}"
    if finding.fix:
        yield ""
        yield "**Fix**"
        yield from _fix(finding.fix)


def _fix(fix: str) -> Iterator[str]:
    """Yields prose escaped, and code in a block that it cannot leave."""
    for is_code, part in prose_and_code(fix):
        yield ""
        if not is_code:
            yield from map(escaped, part)
            continue
        longest = max(map(len, re.findall("`+", "\n".join(part))), default=0)
        fence = "`" * max(3, longest + 1)
        yield f"{fence}python"
        yield from part
        yield fence


def escaped(text: str) -> str:
    """Returns one line of text that Markdown shows as it is: no markup, HTML, link or mention."""
    safe = html.escape(_unlinked(one_line(text)), quote=False)
    return _MARKUP.sub(r"\\\1", safe).replace(_BREAK, "<!-- -->")


def _inside_html(text: str) -> str:
    """Returns one line of text for inside an HTML element, where a backslash escapes nothing."""
    safe = html.escape(_unlinked(one_line(text)))
    safe = re.sub(r"[\\`*_\[\]|~$]", lambda match: f"&#{ord(match[0])};", safe)
    return safe.replace(_BREAK, "<!-- -->")


def _unlinked(text: str) -> str:
    """Marks where mentions and bare addresses are broken; GitHub links them without any markup."""
    text = _MENTION.sub(rf"\1{_BREAK}", text)
    return _ADDRESS.sub(lambda match: match[0][:-1] + _BREAK + match[0][-1], text)
