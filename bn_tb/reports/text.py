"""The report for a terminal: what is wrong first, the proof after it, then what to change."""

import dataclasses
import io
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.reports import wording
from bn_tb.reports.hyperparameters import cells
from bn_tb.reports.layer_table import layer_table
from bn_tb.reports.many_runs import group_table, shared_findings
from bn_tb.reports.prose import Prose
from bn_tb.reports.report import Report, View
from bn_tb.reports.safe_text import one_line, prose_and_code
from bn_tb.rules.verdict import Severity

RUN_ROWS = 30
"""Runs up to which all have a row of the table; a screen holds about so many."""
ROWS_PER_VERDICT = 4
"""Rows of one verdict where there are more runs, unless `verbose`."""
NAMED_RUNS = 2
"""Runs named in a shared row."""
DETAILED_RUNS = 5
"""Runs shown in full unless `verbose`."""
NAMED_LAYERS = 3
"""Layers named in a finding unless `verbose`."""

VERDICT_STYLE = {
    "broken": "bold red",
    "stale": "bold red",
    "lagging": "bold yellow",
    "suspect": "bold yellow",
    "frozen": "cyan",
    "healthy": "green",
    "unreadable": "bold red",
}
SEVERITY_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


class _Code(Text):
    """Code, whose lines are never broken: wrapped Python is another program, or none."""


@dataclasses.dataclass
class _Told:
    """What stands further up in the report: fixes with code and run, and codes."""

    fixes: dict[str, tuple[str, str]]
    codes: set[str]


def render(report: Report, view: View) -> str:
    """Returns the report for a terminal of `view.width` columns."""
    console = Console(
        file=io.StringIO(),
        width=view.width,
        force_jupyter=False,  # else a notebook gets the parts as HTML, and the caller nothing
        force_terminal=view.colour,
        color_system="standard" if view.colour else None,
        no_color=not view.colour,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )
    for part in _parts(report, view):
        console.print(part, soft_wrap=isinstance(part, _Code))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(line.rstrip(" ") + "\n" for line in text.splitlines())


def _parts(report: Report, view: View) -> Iterator[RenderableType]:
    if not report.runs:
        return
    runs = wording.worst_first(report.runs)
    if len(report.runs) > 1:
        companions = [] if view.verbose else wording.companions(runs)
        aside = set(map(id, companions))
        runs = [run for run in runs if id(run) not in aside]
        hold = "holds" if len(companions) == 1 else "hold"
        beside = f"; {len(companions):,} more {hold} no statistics" if companions else ""
        counts = f"{wording.count(len(runs), 'run')}: {wording.verdict_counts(runs)}"
        yield Text(f"{counts}{beside}", "bold")
        yield Text()
        if view.group_by:
            yield group_table(report, view.group_by)
            yield Text()
        yield from shared_findings(report)
        yield _run_table(report, runs, view)
    shown = runs if view.verbose or len(runs) == 1 else wording.telling(runs, DETAILED_RUNS)
    told = _Told({}, set())
    for run in shown:
        if len(report.runs) > 1:
            yield Text()
        yield from _run(report, run, view, told)
    untold = sum(1 for run in runs if run.findings) - sum(1 for run in shown if run.findings)
    yield from _closing(report, untold, view)


def _run_table(report: Report, runs: list[RunDiagnosis], view: View) -> Group:
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=max(view.width // 2 - 8, 16))
    for _ in view.columns:
        table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    dull = [run for run in runs if run.verdict in wording.UNINTERESTING]
    if len(dull) <= NAMED_RUNS or view.verbose:
        dull = []
    rest = [run for run in runs if run.verdict not in wording.UNINTERESTING or not dull]
    most = len(rest) if view.verbose else RUN_ROWS
    shown, left = wording.representatives(rest, most, ROWS_PER_VERDICT)
    if view.columns:
        table.add_row("", "", *(Text(one_line(name), "dim") for name in view.columns))
    for run in shown:
        table.add_row(
            Text(run.verdict, VERDICT_STYLE.get(run.verdict, "")),
            Prose(wording.entry_name(report, run)),
            *map(Prose, cells(report.hyperparameters(run), view.columns)),
            Prose(wording.reason(run)),
        )
    if dull:
        names = [wording.run_name(report, run) for run in dull]
        verdicts = " or ".join(dict.fromkeys(run.verdict for run in dull))
        listed = Prose(wording.listed(names, NAMED_RUNS))
        table.add_row(verdicts, f"{len(dull):,} runs", *("" for _ in view.columns), listed)
    if not left:
        return Group(table)
    return Group(table, Text(f"and {wording.verdict_counts(left)}: see them with --verbose", "dim"))


def _run(report: Report, run: RunDiagnosis, view: View, told: _Told) -> Iterator[RenderableType]:
    name = wording.run_name(report, run)
    title = Text.assemble(
        (run.verdict.upper(), VERDICT_STYLE.get(run.verdict, "bold")), "  ", (name, "bold")
    )
    if extent := wording.extent(run):
        title.append(f"  {extent}")
    yield title
    if not run.findings:
        yield _indented(Prose(wording.reason(run)), 2)
    yield from _remark(run, view)
    for problem in _file_problems(run):
        yield _indented(Prose(problem, "yellow"), 2)
    if any(layer.mean or layer.variance for layer in run.subject.layers):
        yield Text()
        yield _indented(layer_table(run, view, VERDICT_STYLE), 2)
    costs = wording.costs(report, run)
    for finding in run.findings:
        suppressed = report.suppressed(run, finding)
        if (suppressed and not view.verbose) or any(finding is cost for cost in costs.values()):
            continue
        yield Text()
        yield _indented(_headline(report, finding, suppressed), 2)
        yield from _finding(finding, costs.get(finding.code), name, view, told)


def _remark(run: RunDiagnosis, view: View) -> Iterator[RenderableType]:
    for is_code, part in prose_and_code(run.remark):
        lines = [Text(line, "cyan") if is_code else Prose(line) for line in part]
        yield Padding(Group(*lines), (1, 0, 1, 6)) if is_code else _indented(Group(*lines), 2)


def _file_problems(run: RunDiagnosis) -> Iterator[str]:
    spoken_of = any(finding.code == "BN903" for finding in run.findings)
    if not spoken_of:
        for file in run.subject.run.files:
            if file.status != "ok":
                yield wording.file_problem(file)


def _headline(report: Report, finding: Finding, suppressed: str) -> Text:
    line = Text.assemble(
        (finding.severity.label, SEVERITY_STYLE.get(finding.severity, "bold")),
        f" {finding.code} ",
        (finding.name, "bold"),
        f", {finding.confidence.label}",
    )
    if report.baseline is not None:
        line.append(", known (baseline)" if report.known(finding) else ", new")
    if suppressed:
        line.append(f", suppressed: {one_line(suppressed)}")
    return line


def _finding(
    finding: Finding, cost: Finding | None, run_name: str, view: View, told: _Told
) -> Iterator[RenderableType]:
    """Yields what is wrong, what it costs, why, what to change, and the proof."""
    yield _indented(Prose(one_line(finding.message)), 4)
    if finding.layers and (view.verbose or finding.layers[0] not in finding.message):
        most = len(finding.layers) if view.verbose else NAMED_LAYERS
        yield _labelled("Layers", Prose(wording.listed(finding.layers, most)))
    if cost is not None:
        yield _labelled("Cost", Prose(f"{cost.code}: {one_line(cost.message)}"))
    if finding.causes:
        yield _labelled("Causes", Text(wording.causes(finding)))
    code, where = told.fixes.get(finding.fix, ("", ""))
    if finding.fix and code and not view.verbose:
        place = "" if where == run_name else f" in {where}"
        yield _labelled("Fix", Prose(f"as for {code}{place}"))
    else:
        yield from _fix(finding.fix, view)
        told.fixes[finding.fix] = (finding.code, run_name)
    proof = finding.evidence + (cost.evidence if cost else ())
    if proof and (finding.severity > Severity.INFO or view.verbose):
        yield _labelled("Proof", _list(proof))
    if finding.code not in told.codes:
        told.codes.add(finding.code)
        yield _labelled("More", Text(f"bn_tb.analyze --explain={finding.code}"))


def _labelled(label: str, content: RenderableType) -> Padding:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", width=len("Layers"))
    table.add_column(overflow="fold")
    table.add_row(label, content)
    return _indented(table, 4)


def _list(entries: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for entry in entries:
        table.add_row("-", Prose(one_line(entry)))
    return table


def _fix(fix: str, view: View) -> Iterator[RenderableType]:
    """Yields a fix; its code goes to the left where long lines need the room."""
    label = "Fix"
    for is_code, part in prose_and_code(fix):
        if is_code:
            indent = next((i for i in (14, 8) if i + max(map(len, part)) <= view.width), 4)
            yield _Code("".join(f"\n{' ' * indent}{line}" for line in part), "cyan")
        else:
            if not label:
                yield Text()
            yield _labelled(label, Group(*map(Prose, part)))
            label = ""


def _closing(report: Report, left: int, view: View) -> Iterator[Text]:
    notes = []
    if left:
        notes.append(f"{wording.count(left, 'more run')} with findings: see them with --verbose")
    suppressed = sum(1 for run, finding in report.findings() if report.suppressed(run, finding))
    if suppressed and not view.verbose:
        notes.append(f"{wording.count(suppressed, 'finding')} suppressed: see with --verbose")
    for entry in report.cured:
        layers = wording.listed(entry.layers, NAMED_LAYERS)
        notes.append(one_line(f"cured since the baseline: {entry.code} in {entry.run} {layers}"))
    if gate := wording.gate(report):
        notes.append(gate)
    if notes:
        yield Text()
    yield from (Text(note, "dim") for note in notes)


def _indented(part: RenderableType, columns: int) -> Padding:
    return Padding(part, (0, 0, 0, columns), expand=False)
