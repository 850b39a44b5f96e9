"""One renderer per format.

Renderers are imported when they are first used, so that JSON in a pipeline never pays for the
terminal library. Each is a module with `render(report: Report, view: View) -> str`.
"""

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bn_tb.errors import UsageError

if TYPE_CHECKING:
    from bn_tb.diagnosis import RunDiagnosis
    from bn_tb.reports.report import Report, View

RENDERERS = {
    "text": "bn_tb.reports.text",
    "json": "bn_tb.reports.json_report",
    "html": "bn_tb.reports.html",
    "sarif": "bn_tb.reports.sarif",
    "junit": "bn_tb.reports.junit",
    "markdown": "bn_tb.reports.markdown",
    "csv": "bn_tb.reports.csv_report",
}
"""Module of each format's renderer."""


def render(
    diagnoses: "Iterable[RunDiagnosis] | Report", format: str = "text", view: "View | None" = None
) -> str:
    """Returns a report as text in one of the formats.

    Args:
      diagnoses: What `diagnose` returns; or, where gates are wanted, a `Report` of it.
      format: A key of `RENDERERS`.
      view: Width, colour and detail, for the formats that people read.

    Raises:
      UsageError: There is no such format.
    """
    from bn_tb.reports.report import Report, View

    if format not in RENDERERS:
        raise UsageError(f"format {format!r}: want one of {', '.join(RENDERERS)}")
    report = diagnoses if isinstance(diagnoses, Report) else Report(tuple(diagnoses))
    renderer = importlib.import_module(RENDERERS[format])
    text: str = renderer.render(report, view or View())
    return text
