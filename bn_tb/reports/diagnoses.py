"""What `bn_tb.diagnose` returns to people: a tuple of diagnoses that prints as a report."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from bn_tb.diagnosis import VERDICTS, Finding, RunDiagnosis
from bn_tb.reports import render
from bn_tb.reports.report import View

_SHOWN = 3  # runs in the short form


class Diagnoses(tuple[RunDiagnosis, ...]):
    """Diagnoses of runs, in reading order.

    `print` shows the report of the terminal, a notebook the page of the HTML report.
    """

    @property
    def verdict(self) -> str:
        """The worst verdict of all runs."""
        return min((run.verdict for run in self), key=VERDICTS.index, default="unreadable")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all runs, errors first."""
        found = (finding for run in self for finding in run.findings)
        return tuple(sorted(found, key=lambda finding: (-finding.severity, finding.code)))

    def to_pandas(self, what: str = "runs") -> Any:
        """Returns a pandas.DataFrame; pandas is the caller's.

        Args:
          what: `runs`, `layers` or `findings`: what a row is.

        Raises:
          ValueError: `what` is something else.
        """
        import pandas

        rows = {"runs": self._runs, "layers": self._layers, "findings": self._findings}
        if what not in rows:
            raise ValueError(f"to_pandas({what!r}): want one of {', '.join(rows)}")
        return pandas.DataFrame(list(rows[what]()))

    def _runs(self) -> Iterable[dict[str, Any]]:
        for run in self:
            read = run.subject.run
            yield {
                "run": read.name,
                "logdir": read.logdir,
                "verdict": run.verdict,
                "layers": len(run.layers),
                "findings": " ".join(dict.fromkeys(one.code for one in run.findings)),
                "first_step": read.first_step,
                "last_step": read.last_step,
            }

    def _layers(self) -> Iterable[dict[str, Any]]:
        for run in self:
            for layer in run.layers:
                yield {"run": run.subject.run.name, **dataclasses.asdict(layer)}

    def _findings(self) -> Iterable[dict[str, Any]]:
        for run in self:
            for finding in run.findings:
                yield {
                    "run": run.subject.run.name,
                    "code": finding.code,
                    "name": finding.name,
                    "severity": finding.severity.label,
                    "confidence": finding.confidence.label,
                    "layers": list(finding.layers),
                    "step": finding.step,
                    "message": finding.message,
                    "fix": finding.fix,
                }

    def __repr__(self) -> str:
        runs = [f"{run.subject.run.name}: {run.verdict}" for run in self[:_SHOWN]]
        more = [f"{len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        return f"<Diagnoses of {len(self)} runs, {self.verdict}; {', '.join(runs + more)}>"

    def __str__(self) -> str:
        return render(self)

    def _repr_html_(self) -> str:
        """Returns the HTML report in a frame of its own, so that neither page styles the other."""
        import html

        page = html.escape(render(self, "html", View()), quote=True)
        style = "width:100%;height:640px;border:0"
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'
