"""The HTML report: one file that opens offline and loads nothing."""

import base64
import hashlib
import json
from typing import Any

from bn_tb.reports import json_report, wording
from bn_tb.reports.page import front_end, manual, payload
from bn_tb.reports.report import Report, View
from bn_tb.reports.safe_text import one_line
from bn_tb.rules import ALL_RULES
from bn_tb.version import __version__

BUDGET = 400_000  # points of all charts of a file, at about 60 bytes each with their nine levels
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
    """All that the page asks for; the charts of the worst runs first, as far as they fit."""
    entries = json_report.document(report)["runs"]
    names = [one_line(wording.run_name(report, diagnosis)) for diagnosis in report.runs]
    settings = map(report.hyperparameters, report.runs)
    points = _points(report)
    return {
        "overview": {
            "logdir": ", ".join(dict.fromkeys(run.subject.run.logdir for run in report.runs)),
            "notices": list(report.problems),
            "runs": [
                payload.overview(diagnosis)
                | {"run": name, "hyperparameters": json_report.plain(given)}
                for name, diagnosis, given in zip(names, report.runs, settings, strict=True)
            ],
        },
        "runs": {
            name: payload.run(entry, diagnosis, max(points, FEWEST_POINTS)) | {"run": name}
            for name, entry, diagnosis in zip(names, entries, report.runs, strict=True)
        },
        "layers": _layers(report, names, points),
        "manuals": {
            rule.code: manual.page(rule.manual) for rule in ALL_RULES if rule.code in _codes(report)
        },
    }


def _points(report: Report) -> int:
    """Points a series so that all charts fit; they get coarser before they are left out."""
    series = 2 * sum(len(diagnosis.layers) for diagnosis in report.runs)
    return min(payload.CHART_POINTS, max(FEWEST_POINTS, BUDGET // max(series, 1)))


def _layers(report: Report, names: list[str], points: int) -> dict[str, Any]:
    room = BUDGET
    layers: dict[str, Any] = {name: {} for name in names}
    run_names = dict(zip(map(id, report.runs), names, strict=True))
    for diagnosis in wording.worst_first(report.runs):
        for judged in diagnosis.layers:
            if room > 0:
                charts = payload.layer(diagnosis, judged.layer, points)
                layers[run_names[id(diagnosis)]][judged.layer] = charts
                room -= sum(len(drawn.get("steps", ())) for drawn in charts["statistics"])
    return layers


def _codes(report: Report) -> set[str]:
    return {finding.code for _, finding in report.findings()}


def _for_script(data: Any) -> str:
    """Returns JSON that cannot end the script element that holds it."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
