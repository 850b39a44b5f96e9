"""SARIF 2.1.0, for code scanning.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os.html
"""

import json
import os
import re
import urllib.parse
from typing import Any

from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.reports.json_report import valid
from bn_tb.reports.report import ExitCode, Report, View
from bn_tb.reports.safe_text import one_line
from bn_tb.rules import ALL_RULES
from bn_tb.rules.rule import Rule
from bn_tb.rules.verdict import Severity
from bn_tb.version import __version__

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # what os.fsdecode never makes
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_RANKS = {"suspect": 25.0, "likely": 60.0, "confirmed": 95.0}
"""Priority from 0 to 100 by confidence; SARIF leaves the scale to the tool."""


def render(report: Report, view: View) -> str:
    """Returns the report as SARIF in ASCII."""
    unusable = report.exit_code == ExitCode.UNUSABLE
    invocation = {
        "executionSuccessful": not unusable,
        "exitCode": int(report.exit_code),
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": unlinked(one_line(problem))}}
            for problem in report.problems
        ],
    }
    run = {
        "tool": {
            "driver": {
                "name": "bn_tb",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in ALL_RULES],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": [_result(report, run, finding) for run, finding in report.findings()],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    manual = rule.manual.strip()
    prose = [line for line in manual.splitlines() if line.strip() and not line.startswith("#")]
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": prose[0].strip() if prose else rule.name},
        "help": {"text": manual or rule.name, "markdown": manual or rule.name},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(report: Report, run: RunDiagnosis, finding: Finding) -> dict[str, Any]:
    index = [rule.code for rule in ALL_RULES].index(finding.code)
    proof = "\n".join(f"- {one_line(line)}" for line in finding.evidence)
    text = "\n".join(part for part in (one_line(finding.message), proof, finding.fix) if part)
    text = unlinked(text)
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "rank": _RANKS[finding.confidence.label],
        "message": {"text": valid(text)},
        "locations": [_location(run, finding)],
        "partialFingerprints": {"bn_tb/v1": finding.fingerprint},
        "properties": {"run": valid(run.subject.run.name), "step": finding.step},
    }
    if reason := report.suppressed(run, finding):
        result["suppressions"] = [{"kind": "external", "justification": unlinked(valid(reason))}]
    if report.baseline is not None:
        result["baselineState"] = "unchanged" if report.known(finding) else "new"
    return result


def unlinked(text: str) -> str:
    r"""Returns text without embedded links: `[text](target)` becomes `[text]\(target)`.

    Names from logs may look like one, and viewers make it live: section 3.11.6.
    """
    return text.replace("](", "]\\(")


def _location(run: RunDiagnosis, finding: Finding) -> dict[str, Any]:
    names = finding.layers or (run.subject.run.name,)
    kind = "variable" if finding.layers else "module"
    location: dict[str, Any] = {
        "logicalLocations": [
            {
                "name": one_line(name),
                "fullyQualifiedName": one_line(f"{run.subject.run.name}:{name}"),
                "kind": kind,
            }
            for name in names
        ]
    }
    files = run.subject.run.files
    damaged = [file for file in files if file.status != "ok" and file.path in finding.message]
    if files:
        path = (damaged or list(files))[-1 if not damaged else 0].path
        location["physicalLocation"] = {"artifactLocation": {"uri": relative_uri(path)}}
    return location


def relative_uri(path: str) -> str:
    """Returns a path as a relative URI reference, percent-encoded; it can never name a scheme.

    Paths above the working directory, which code scanning refuses, lose their leading parts.
    """
    try:
        relative = os.path.relpath(path)
    except ValueError:  # on another drive
        relative = os.path.splitdrive(path)[1]
    relative = _NO_BYTE.sub("\N{REPLACEMENT CHARACTER}", relative.replace(os.sep, "/"))
    parts = [part for part in relative.split("/") if part not in ("", ".", "..")]
    return "/".join(urllib.parse.quote(part, safe="", errors="surrogateescape") for part in parts)
