"""The JSON report, schema_version 1; `schema.json` beside this file describes it."""

import json
import math
import re
from typing import Any

from bn_tb.diagnosis import Finding, LayerDiagnosis, RunDiagnosis
from bn_tb.layers import BatchNormLayer
from bn_tb.reports.report import Report, View
from bn_tb.runs.hyperparameters import Value, Values
from bn_tb.runs.run import FileReport
from bn_tb.version import __version__

SCHEMA_VERSION = 1

_SURROGATE = re.compile("[\ud800-\udfff]")


def render(report: Report, view: View) -> str:
    """Returns the report as JSON in ASCII, so that no terminal and no encoding can spoil it."""
    return json.dumps(document(report), indent=1, allow_nan=False) + "\n"


def document(report: Report) -> dict[str, Any]:
    """Returns the JSON report as plain values; numbers that are not finite are null."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "bn_tb", "version": __version__},
        "exit_code": int(report.exit_code),
        "runs": [_run(report, run) for run in report.runs],
    }


def _run(report: Report, diagnosis: RunDiagnosis) -> dict[str, Any]:
    run = diagnosis.subject.run
    pairs = zip(diagnosis.layers, diagnosis.subject.layers, strict=True)
    remark = {"remark": valid(diagnosis.remark)} if diagnosis.remark else {}
    settings = report.hyperparameters(diagnosis)
    given = {"hyperparameters": plain(settings)} if settings else {}
    return {
        **given,
        **remark,
        "run": valid(run.name),
        "logdir": valid(run.logdir),
        "verdict": diagnosis.verdict,
        "files": [_file(file) for file in run.files],
        "first_step": run.first_step,
        "last_step": run.last_step,
        "layers": [_layer(judged, layer) for judged, layer in pairs],
        "findings": [_finding(report, diagnosis, finding) for finding in diagnosis.findings],
    }


def _file(file: FileReport) -> dict[str, Any]:
    return {
        "path": valid(file.path),
        "kind": file.kind,
        "bytes": file.bytes,
        "events": file.events,
        "status": file.status,
        "detail": valid(file.detail),
    }


def _layer(judged: LayerDiagnosis, layer: BatchNormLayer) -> dict[str, Any]:
    return {
        "layer": valid(judged.layer),
        "verdict": judged.verdict,
        "moving_mean_tag": valid(layer.mean_tag) or None,
        "moving_variance_tag": valid(layer.variance_tag) or None,
        "points": judged.points,
        "first_step": judged.first_step,
        "last_step": judged.last_step,
        "last_change_step": judged.last_change_step,
        "momentum": _finite(judged.momentum),
        "momentum_source": judged.momentum_source,
        "initial_weight": _finite(judged.initial_weight),
        "updates": _finite(judged.updates),
        "sources": list(layer.sources),
    }


def _finding(report: Report, run: RunDiagnosis, finding: Finding) -> dict[str, Any]:
    entry = {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.label,
        "confidence": finding.confidence.label,
        "layers": [valid(layer) for layer in finding.layers],
        "step": finding.step,
        "message": valid(finding.message),
        "evidence": [valid(line) for line in finding.evidence],
        "fix": valid(finding.fix),
        "causes": list(finding.causes),
        "fingerprint": finding.fingerprint,
    }
    if reason := report.suppressed(run, finding):
        entry["suppressed"] = valid(reason)
    if report.baseline is not None:
        entry["baseline"] = "known" if report.known(finding) else "new"
    return entry


def finding_document(report: Report, run: RunDiagnosis, finding: Finding) -> dict[str, Any]:
    """Returns one finding, with its run, as plain values."""
    place = {"run": valid(run.subject.run.name), "logdir": valid(run.subject.run.logdir)}
    return {"schema_version": SCHEMA_VERSION, **place, **_finding(report, run, finding)}


def valid(text: str) -> str:
    """Returns text without lone surrogates, which JSON parsers refuse."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def plain(settings: Values) -> dict[str, Value]:
    """Returns hyperparameters as JSON parsers take them."""
    return {
        valid(name): valid(value) if isinstance(value, str) else value
        for name, value in settings.items()
    }


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)
