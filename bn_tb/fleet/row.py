"""A diagnosis as one JSON-able row, and back: what travels between machines and what is kept.

A row is the run of the JSON report and what reports ask for beside it. Series, graphs and charts
are not in it, so that a hundred thousand rows fit into memory; reports of rows have no curves.
"""

import dataclasses
import functools
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from bn_tb.diagnosis import Finding, LayerDiagnosis, RunDiagnosis
from bn_tb.layers import BatchNormLayer
from bn_tb.reports import json_report
from bn_tb.reports.report import Report
from bn_tb.rules.subject import Subject, beside_each_other
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.run import Checkpoint, FileReport, Run

Row = dict[str, Any]

_BESIDE = tuple(
    field.name
    for field in dataclasses.fields(RunDiagnosis)
    if field.name not in ("subject", "verdict", "layers", "findings")
)
_JUDGED = tuple(field.name for field in dataclasses.fields(LayerDiagnosis))
_SAME_LAYERS = 1 << 16
"""Layers that are held once however many runs have them; those of a sweep are the same."""


def row_of(diagnosis: RunDiagnosis) -> Row:
    """Returns the row of a diagnosis."""
    row: Row = json_report.document(Report((diagnosis,)))["runs"][0]
    for entry, judged in zip(row["layers"], diagnosis.layers, strict=True):
        for name in set(_JUDGED) - entry.keys():
            entry[name] = getattr(judged, name)
    row["checkpoints"] = list(map(dataclasses.asdict, diagnosis.subject.run.checkpoints))
    return row | {name: getattr(diagnosis, name) for name in _BESIDE}


def diagnoses_of(experiment: Iterable[Mapping[str, Any]]) -> list[RunDiagnosis]:
    """Returns the diagnoses of the rows of one experiment, without series and graphs.

    Raises:
      KeyError, TypeError, ValueError: They are no rows.
    """
    diagnoses = list(map(_diagnosis, experiment))
    if len(diagnoses) == 1:
        return diagnoses
    subjects = beside_each_other([diagnosis.subject for diagnosis in diagnoses])
    return [
        dataclasses.replace(diagnosis, subject=subject)
        for diagnosis, subject in zip(diagnoses, subjects, strict=True)
    ]


def dumps(rows: list[Row]) -> str:
    """Returns rows as text."""
    return json.dumps(rows, allow_nan=False, separators=(",", ":"))


def loads(text: str) -> list[RunDiagnosis]:
    """Returns the diagnoses of the rows of one experiment that `dumps` wrote.

    Raises:
      KeyError, TypeError, ValueError: The text holds something else.
    """
    return diagnoses_of(json.loads(text))


def _diagnosis(row: Mapping[str, Any]) -> RunDiagnosis:
    run = Run(
        name=row["run"],
        logdir=sys.intern(row["logdir"]),
        files=tuple(FileReport(**file) for file in row["files"]),
        first_step=row["first_step"],
        last_step=row["last_step"],
        hyperparameters=row.get("hyperparameters", {}),
        checkpoints=tuple(Checkpoint(**checkpoint) for checkpoint in row["checkpoints"]),
    )
    return RunDiagnosis(
        subject=Subject(run, tuple(map(_layer, row["layers"]))),
        verdict=sys.intern(row["verdict"]),
        layers=tuple(_judged(*map(entry.__getitem__, _JUDGED)) for entry in row["layers"]),
        findings=tuple(map(_finding, row["findings"])),
        **{name: row[name] for name in _BESIDE},
    )


def _layer(entry: Mapping[str, Any]) -> BatchNormLayer:
    tags = (entry["moving_mean_tag"] or "", entry["moving_variance_tag"] or "")
    return _named(entry["layer"], *tags, tuple(entry["sources"]))


@functools.lru_cache(_SAME_LAYERS)
def _named(name: str, mean: str, variance: str, sources: tuple[str, ...]) -> BatchNormLayer:
    return BatchNormLayer(name, mean, variance, sources=sources)


@functools.lru_cache(_SAME_LAYERS, typed=True)  # 1 and 1.0 are written differently
def _judged(*values: Any) -> LayerDiagnosis:
    return LayerDiagnosis(*values)


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
