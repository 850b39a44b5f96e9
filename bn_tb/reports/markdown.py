"""The report for a pull request: a summary, and a folded section per run with findings."""

import html
import re
from collections.abc import Iterator

from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.reports import wording
from bn_tb.reports.report import Report, View
from bn_tb.reports.safe_text import lines, one_line

DETAILED_RUNS = 20
"""Runs with a section of their own unless `verbose`; GitHub cuts comments at 65,536 characters."""
NAMED_LAYERS = 10

_MARKUP = re.compile(r"([\\`*\[\]#|~$]|(?<!\w)_|_(?!\w)|^\s*[-+=])")
_MENTION = re.compile(r"(?<!\w)([@#])(?=\w)")
_ADDRESS = re.compile(r"(?i)(?:\b(https?|ftp|mailto)(:)|\b(www)(\.))")


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
        yield "| verdict | run | why |"
        yield "| --- | --- | --- |"
    for run in runs:
        name = escaped(wording.run_name(report, run))
        yield f"| {_mark(run)} | {name} | {escaped(wording.reason(run))} |"
    told = [run for run in runs if run.findings]
    shown = told if view.verbose else told[:DETAILED_RUNS]
    for run in shown:
        yield from _run(report, run)
    if len(told) > len(shown):
        yield ""
        yield f"{wording.count(len(told) - len(shown), 'more run')} with findings."
    for entry in report.cured:
        yield ""
        yield f"Cured since the baseline: {entry.code} in {escaped(entry.run)}."


def _mark(run: RunDiagnosis) -> str:
    healthy = run.verdict in ("healthy", "no-batch-norm", "frozen")
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
    if finding.layers:
        yield f"- Layers: {escaped(wording.listed(finding.layers, NAMED_LAYERS))}"
    for line in finding.evidence:
        yield f"- {escaped(line)}"
    if finding.causes:
        yield f"- Causes: {', '.join(finding.causes)}"
    if finding.fix:
        yield ""
        yield "**Fix.**"
        yield from _fix(finding.fix)


def _fix(fix: str) -> Iterator[str]:
    """Yields prose escaped, and code (fenced, or indented by four) in a block it cannot leave."""
    code: list[str] = []
    fenced = False
    for line in lines(fix):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            code.append(line if fenced else line[4:])
        else:
            yield from _block(code)
            yield escaped(line)
    yield from _block(code)


def _block(code: list[str]) -> Iterator[str]:
    if code:
        longest = max((len(run) for run in re.findall("`+", "\n".join(code))), default=0)
        fence = "`" * max(3, longest + 1)
        yield ""
        yield f"{fence}python"
        yield from code
        yield fence
        yield ""
        code.clear()


def escaped(text: str) -> str:
    """Returns one line of text that Markdown shows as it is: no markup, HTML, link or mention."""
    safe = _MARKUP.sub(r"\\\1", html.escape(one_line(text), quote=False))
    return _unlinked(safe)


def _inside_html(text: str) -> str:
    """Returns one line of text for inside an HTML element, where a backslash escapes nothing."""
    safe = html.escape(one_line(text))
    return _unlinked(re.sub(r"[\\`*_\[\]|~$]", lambda match: f"&#{ord(match[0])};", safe))


def _unlinked(text: str) -> str:
    """Breaks mentions and bare addresses, which GitHub links without any markup."""
    text = _MENTION.sub(lambda match: f"{match[1]}<!-- -->", text)
    return _ADDRESS.sub(lambda match: f"{match[1] or match[3]}<!-- -->{match[2] or match[4]}", text)
