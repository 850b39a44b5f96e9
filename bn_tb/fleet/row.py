"""A diagnosis as one JSON-able row, and back: what travels between machines and what is kept.

A row is the run of the JSON report and what reports ask for beside it. Series, graphs and charts
are not in it, so that a hundred thousand rows fit into memory; reports of rows have no curves.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

from bn_tb.diagnosis import Finding, LayerDiagnosis, RunDiagnosis
from bn_tb.layers import BatchNormLayer
from bn_tb.reports import json_report
from bn_tb.reports.report import Report
from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.run import FileReport, Run

Row = dict[str, Any]

_BESIDE = tuple(
    field.name
    for field in dataclasses.fields(RunDiagnosis)
    if field.name not in ("subject", "verdict", "layers", "findings")
)
_JUDGED = {field.name for field in dataclasses.fields(LayerDiagnosis)}


def row_of(diagnosis: RunDiagnosis) -> Row:
    """Returns the row of a diagnosis."""
    row: Row = json_report.document(Report((diagnosis,)))["runs"][0]
    for entry, judged in zip(row["layers"], diagnosis.layers, strict=True):
        for name in _JUDGED - entry.keys():
            entry[name] = getattr(judged, name)
    return row | {name: getattr(diagnosis, name) for name in _BESIDE}


def diagnosis_of(row: Mapping[str, Any]) -> RunDiagnosis:
    """Returns the diagnosis of a row, without series and graphs.

    Raises:
      KeyError, TypeError, ValueError: It is no row.
    """
    run = Run(
        name=row["run"],
        logdir=sys.intern(row["logdir"]),
        files=tuple(FileReport(**file) for file in row["files"]),
        first_step=row["first_step"],
        last_step=row["last_step"],
        hyperparameters=row.get("hyperparameters", {}),
    )
    return RunDiagnosis(
        subject=Subject(run, tuple(map(_layer, row["layers"]))),
        verdict=sys.intern(row["verdict"]),
        layers=tuple(map(_judged, row["layers"])),
        findings=tuple(map(_finding, row["findings"])),
        **{name: row[name] for name in _BESIDE},
    )


def dumps(rows: list[Row]) -> str:
    """Returns rows as text."""
    return json.dumps(rows, allow_nan=False, separators=(",", ":"))


def loads(text: str) -> list[RunDiagnosis]:
    """Returns the diagnoses of rows that `dumps` wrote.

    Raises:
      KeyError, TypeError, ValueError: The text holds something else.
    """
    return [diagnosis_of(row) for row in json.loads(text)]


def _layer(entry: Mapping[str, Any]) -> BatchNormLayer:
    return BatchNormLayer(
        name=entry["layer"],
        mean_tag=entry["moving_mean_tag"] or "",
        variance_tag=entry["moving_variance_tag"] or "",
    )


def _judged(entry: Mapping[str, Any]) -> LayerDiagnosis:
    return LayerDiagnosis(**{name: entry[name] for name in _JUDGED})


def _finding(entry: Mapping[str, Any]) -> Finding:
    words: dict[str, Any] = {
        name: sys.intern(entry[name]) for name in ("code", "name", "message", "fix")
    }
    return Finding(
        **words,
        severity=Severity[entry["severity"].upper()],
        confidence=Confidence[entry["confidence"].upper()],
        layers=tuple(map(sys.intern, entry["layers"])),
        step=entry["step"],
        evidence=tuple(map(sys.intern, entry["evidence"])),
        causes=tuple(entry["causes"]),
        fingerprint=entry["fingerprint"],
    )
