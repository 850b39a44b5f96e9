"""The HTML report: one file that opens offline and loads nothing."""

import base64
import gzip
import hashlib
import json
from typing import Any

from bn_tb.diagnosis import RunDiagnosis
from bn_tb.reports import json_report, wording
from bn_tb.reports.page import front_end, manual, payload
from bn_tb.reports.report import Report, View
from bn_tb.reports.safe_text import one_line
from bn_tb.rules import ALL_RULES
from bn_tb.version import __version__

BUDGET = 4_700_000  # bytes of all runs of a file; what mails and issues take is 10 MB and more
BYTES_A_POINT = 30  # of a chart, packed, with its nine levels; measured with random statistics
LOADED_WHEN_OPENED = ("layers", "metrics", "explained")
FEWEST_POINTS = 40  # points a series; below that a curve is no curve

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'">
<title>Batch norm report</title>
<style>{style}</style>
</head>
<body>
<header id="masthead"><b>Batch norm report</b><span class="muted">bn_tb {version}</span></header>
<div id="page"><noscript>This report draws its charts with JavaScript.</noscript></div>
<script type="application/json" id="data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def render(report: Report, view: View) -> str:
    """Returns the report as one HTML file without references to anything outside it."""
    style, script = front_end.text("page.css"), front_end.one_module("report.js")
    return _PAGE.format(
        style=style,
        style_hash=_sha256(style),
        script=script,
        script_hash=_sha256(script),
        version=__version__,
        data=_for_script(_data(report)),
    )


def _data(report: Report) -> dict[str, Any]:
    """All that the page asks for: what is read at once, and the charts of each run, packed."""
    names = [one_line(wording.run_name(report, diagnosis)) for diagnosis in report.runs]
    points = _points(report)
    runs = _runs(report, names, points)
    opened = {
        name: _packed({key: run.pop(key) for key in LOADED_WHEN_OPENED})
        for name, run in runs.items()
    }
    overview = _rows(report, names)
    room = BUDGET - sum(map(len, opened.values())) - len(json.dumps([runs, overview]))
    return {
        "overview": {
            "logdir": ", ".join(dict.fromkeys(run.subject.run.logdir for run in report.runs)),
            "notices": list(report.problems),
            "runs": overview,
        },
        "runs": runs,
        "opened": opened,
        "layers": _layers(report, names, points, room),
        "manuals": {
            rule.code: manual.page(rule.manual) for rule in ALL_RULES if rule.code in _codes(report)
        },
    }


def _rows(report: Report, names: list[str]) -> list[dict[str, Any]]:
    """Returns the list of runs, each under the name that it has in this report."""
    read = [diagnosis.subject.run for diagnosis in report.runs]
    known = {(run.logdir, run.name): name for run, name in zip(read, names, strict=True)}
    rows = []
    for diagnosis, run, name in zip(report.runs, read, names, strict=True):
        row = payload.overview(diagnosis)
        settings = json_report.plain(report.hyperparameters(diagnosis))
        beside = known.get((run.logdir, row["beside"]))
        rows.append(row | {"run": name, "beside": beside, "hyperparameters": settings})
    return rows


def _runs(report: Report, names: list[str], points: tuple[int, int]) -> dict[str, dict[str, Any]]:
    entries = json_report.document(report)["runs"]
    return {
        name: payload.run(entry, diagnosis, points[_well(diagnosis)]) | {"run": name}
        for name, entry, diagnosis in zip(names, entries, report.runs, strict=True)
    }


def _packed(data: dict[str, Any]) -> str:
    """Returns JSON as base64 of gzip, which the page unpacks when the run is opened."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _well(diagnosis: RunDiagnosis) -> bool:
    """Returns whether nobody needs to look closely at the charts of a run."""
    return diagnosis.verdict == "healthy"


def _points(report: Report) -> tuple[int, int]:
    """Points a series of runs that are not well, and of those that are, so that all charts fit.

    Those that are well get coarser first; then the others do, before charts are left out.
    """
    series = {True: 0, False: 0}
    for diagnosis in report.runs:
        series[_well(diagnosis)] += 2 * len(diagnosis.layers)
    points = BUDGET // BYTES_A_POINT
    if payload.CHART_POINTS * sum(series.values()) <= points:
        return payload.CHART_POINTS, payload.CHART_POINTS
    share = (points - FEWEST_POINTS * series[True]) // max(series[False], 1)
    return min(payload.CHART_POINTS, max(FEWEST_POINTS, share)), FEWEST_POINTS


def _layers(
    report: Report, names: list[str], points: tuple[int, int], room: int
) -> dict[str, dict[str, str]]:
    """Charts of the layers of each run; those of the worst runs first, as far as they fit."""
    layers: dict[str, dict[str, str]] = {name: {} for name in names}
    run_names = dict(zip(map(id, report.runs), names, strict=True))
    for diagnosis in wording.worst_first(report.runs):
        for judged in diagnosis.layers:
            if room > 0:
                charts = payload.layer(diagnosis, judged.layer, points[_well(diagnosis)])
                packed = _packed(charts)
                layers[run_names[id(diagnosis)]][judged.layer] = packed
                room -= len(packed)
    return layers


def _codes(report: Report) -> set[str]:
    return {finding.code for _, finding in report.findings()}


def _for_script(data: Any) -> str:
    """Returns JSON that cannot end the script element that holds it."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
