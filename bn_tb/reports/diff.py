"""What a change did to the findings, for people and as JSON."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from bn_tb.diagnosis import RunDiagnosis
from bn_tb.errors import UsageError
from bn_tb.gates.compare import Change, Kind
from bn_tb.reports import wording
from bn_tb.reports.json_report import SCHEMA_VERSION, finding_document, valid
from bn_tb.reports.report import Report
from bn_tb.reports.safe_text import one_line

NAMED_LAYERS = 3


def render_diff(old: Report, new: Report, changes: Sequence[Change], format: str = "text") -> str:
    """Returns a comparison.

    Args:
      old: The report before.
      new: The report after; its gates and exit status are those of the comparison.
      changes: From `compare`.
      format: `text` or `json`.

    Raises:
      UsageError: The format is another one.
    """
    if format not in _FORMATS:
        raise UsageError(f"--diff: no format {format!r}; want {' or '.join(_FORMATS)}")
    return _FORMATS[format](old, new, changes)


def _text(old: Report, new: Report, changes: Sequence[Change]) -> str:
    return "\n".join(_lines(old, new, changes)) + "\n"


def _lines(old: Report, new: Report, changes: Sequence[Change]) -> Iterator[str]:
    numbers = [f"{len(_of(kind, changes)):,} {kind.value}" for kind in Kind]
    yield f"findings: {', '.join(numbers)}"
    for kind in Kind:
        report = old if kind is Kind.CURED else new
        for change in _of(kind, changes):
            finding = change.finding
            yield ""
            yield (
                f"{kind.value}: {finding.severity.label} {finding.code} {finding.name} in "
                f"{wording.run_name(report, change.run)}"
            )
            if change.layers:
                yield f"  layers: {wording.listed(change.layers, NAMED_LAYERS)}"
            if kind is Kind.CAUSED:
                yield f"  {one_line(finding.message)}"
    if len(old.runs) > 1 or len(new.runs) > 1:
        yield from _only_in("OLD", old.runs, new.runs)
        yield from _only_in("NEW", new.runs, old.runs)


def _only_in(
    name: str, runs: Iterable[RunDiagnosis], others: Iterable[RunDiagnosis]
) -> Iterator[str]:
    known = {run.subject.run.name for run in others}
    only = [run.subject.run.name for run in runs if run.subject.run.name not in known]
    if only:
        yield ""
        yield f"only in {name}: {wording.listed(only, NAMED_LAYERS)}"


def _json(old: Report, new: Report, changes: Sequence[Change]) -> str:
    document = {"schema_version": SCHEMA_VERSION, "exit_code": int(new.exit_code)}
    parts = {
        kind.value: [
            finding_document(old if kind is Kind.CURED else new, change.run, change.finding)
            | {"layers": [valid(layer) for layer in change.layers]}
            for change in _of(kind, changes)
        ]
        for kind in Kind
    }
    return json.dumps(document | parts, indent=1) + "\n"


def _of(kind: Kind, changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if change.kind is kind]


_FORMATS: dict[str, Callable[[Report, Report, Sequence[Change]], str]] = {
    "text": _text,
    "json": _json,
}
