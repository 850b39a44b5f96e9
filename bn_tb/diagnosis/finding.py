"""What a diagnosis is: findings, and one verdict per layer and run."""

import dataclasses

from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Confidence, Severity, Verdict

VERDICTS = tuple(verdict.label for verdict in Verdict)
"""Verdicts of a run or a layer, worst first."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A fault of one run as reports show it (design: one entry of `findings` in the JSON report).

    Attributes:
      code: Rule code.
      name: Rule name.
      severity: How much it matters.
      confidence: How well it is proved.
      layers: Names of the layers concerned.
      step: The step it speaks of, or None.
      message: The cause, then the numbers.
      evidence: Lines of proof.
      fix: What to change.
      causes: Codes of the causes that were folded into this finding.
      fingerprint: 16 hex digits, equal for the same fault of the same run and layers in later logs.
      over: Whether the statistics recovered from it before the log ends.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    layers: tuple[str, ...]
    step: int | None
    message: str
    evidence: tuple[str, ...]
    fix: str
    causes: tuple[str, ...] = ()
    fingerprint: str = ""
    over: bool = False


@dataclasses.dataclass(frozen=True)
class LayerDiagnosis:
    """The verdict on one layer.

    Attributes:
      layer: Layer name.
      verdict: A label of `Verdict`.
      points: Number of points of the statistic with more points.
      first_step: First step logged, or None.
      last_step: Last step logged, or None.
      last_change_step: Last step at which a statistic differed from the point before, or None.
      momentum: Weight of the old value per update, or None.
      momentum_source: `graph`, `keras_config`, `flag`, `monitor`, `measured`, or None.
      initial_weight: Share of the initial value that is left at the last step in [0, 1], or None.
      trusted_from: First step whose initial weight is at most 5 %, or None.
      updates: Updates of the statistics until then, or None if unknown.
    """

    layer: str
    verdict: str
    points: int
    first_step: int | None
    last_step: int | None
    last_change_step: int | None
    momentum: float | None
    momentum_source: str | None
    initial_weight: float | None
    trusted_from: int | None = None
    updates: float | None = None


@dataclasses.dataclass(frozen=True)
class RunDiagnosis:
    """The verdict on one run; `subject` holds the series and the graph for charts.

    Attributes:
      subject: What was judged.
      verdict: A label of `Verdict`.
      layers: One entry per layer of `subject.layers`, in the same order.
      findings: Errors first, then by code.
      remark: What is left to say where no finding says it, or an empty string.
      problem: Why bn_tb could not judge the run although it was read, or an empty string.
      wiring_judged: Whether a graph of it shows batch-norm layers.
    """

    subject: Subject
    verdict: str
    layers: tuple[LayerDiagnosis, ...] = ()
    findings: tuple[Finding, ...] = ()
    remark: str = ""
    problem: str = ""
    wiring_judged: bool = False
