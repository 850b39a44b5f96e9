"""Finds batch-norm faults in TensorBoard logs.

    runs = bn_tb.read_logdir("logs")
    diagnoses = bn_tb.diagnose(runs)
    print(bn_tb.render(diagnoses))

Public names are imported when they are first used: `import bn_tb` alone costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bn_tb.diagnosis import Finding as Finding
    from bn_tb.diagnosis import LayerDiagnosis as LayerDiagnosis
    from bn_tb.diagnosis import Options as Options
    from bn_tb.diagnosis import RunDiagnosis as RunDiagnosis
    from bn_tb.diagnosis import diagnose as diagnose
    from bn_tb.errors import BnTbError as BnTbError
    from bn_tb.errors import UsageError as UsageError
    from bn_tb.gates.suppressions import Suppression as Suppression
    from bn_tb.reports import RENDERERS as RENDERERS
    from bn_tb.reports import render as render
    from bn_tb.reports.report import Report as Report
    from bn_tb.reports.report import View as View
    from bn_tb.rules._rule import Confidence as Confidence
    from bn_tb.rules._rule import Severity as Severity
    from bn_tb.run import Run as Run

_HOMES = {
    "ALL_RULES": "bn_tb.rules",
    "BnTbError": "bn_tb.errors",
    "Confidence": "bn_tb.rules._rule",
    "Finding": "bn_tb.diagnosis",
    "LayerDiagnosis": "bn_tb.diagnosis",
    "Options": "bn_tb.diagnosis",
    "RENDERERS": "bn_tb.reports",
    "Report": "bn_tb.reports.report",
    "Run": "bn_tb.run",
    "RunDiagnosis": "bn_tb.diagnosis",
    "Severity": "bn_tb.rules._rule",
    "Suppression": "bn_tb.gates.suppressions",
    "UsageError": "bn_tb.errors",
    "View": "bn_tb.reports.report",
    "diagnose": "bn_tb.diagnosis",
    "read_logdir": "bn_tb.events.logdir",
    "render": "bn_tb.reports",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bn_tb' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
