"""What a report says of a run beside its findings: no fault was seen, and yet something is left."""

from collections.abc import Iterable, Mapping

from bn_tb.diagnosis.finding import Finding
from bn_tb.evidence.ended import all_ended
from bn_tb.evidence.precision import FORMATS, coarse_format
from bn_tb.layers import Motion
from bn_tb.rules import RULES
from bn_tb.rules.how_to_log import FIXES, likely_framework, monitor_of
from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Verdict

EXPLAINED = ("BN501", "BN102", "BN901")
"""Codes whose own text speaks of the gap."""
ENDS = "BN301"
"""The code that says where statistics end."""


def remark_of(
    subject: Subject, verdict: str, findings: Iterable[Finding], limits: Mapping[str, float]
) -> str:
    """Returns one line, with code where it helps, or an empty string.

    Args:
      subject: The run.
      verdict: Label of its verdict.
      findings: Its findings.
      limits: Those of BN501, by which training and evaluation part.
    """
    if verdict == Verdict.UNKNOWN.label:
        return _how_to_be_judged(subject)
    if any(finding.code in EXPLAINED for finding in findings):
        return ""
    ends = any(finding.code == ENDS for finding in findings)
    silence = "" if ends else _silence(subject)
    return _gap(subject, verdict, limits) or silence or _coarse(subject, verdict)


def _gap(subject: Subject, verdict: str, limits: Mapping[str, float]) -> str:
    """Says where to look where training and evaluation part beside statistics that move."""
    if all(layer.motion is not Motion.MOVING for layer in subject.layers):
        return ""
    gap = subject.gap(limits)
    if gap is None:
        return ""
    in_order = "are warm and in order" if verdict == "healthy" else "alone do not explain it"
    return (
        f"{gap.name} is {gap.train:.3g} in training and {gap.evaluation:.3g} in evaluation, and "
        f"the moving statistics {in_order}. What is left to look at: the order of the examples "
        "(sorted by class, one domain a batch), other data in evaluation, forward passes between "
        "training and evaluation that are no training, the evaluation code, and overfitting."
    )


def _silence(subject: Subject) -> str:
    """Says where statistics end long before the run does."""
    end = next(all_ended(subject.layers, subject.run), None)
    if end is None:
        return ""
    return (
        f"The moving statistics are logged up to step {end.step} only ({end.other} up to step "
        f"{end.last}): nothing is known of them from there on."
    )


def _coarse(subject: Subject, verdict: str) -> str:
    """Says that a log cannot show how near statistics of a coarse format come to the batches."""
    if verdict != Verdict.HEALTHY.label:
        return ""
    name = next(filter(None, map(coarse_format, subject.layers)), "")
    return name and (
        f"The moving statistics are stored in {name}, where an update below half of the last of "
        f"its {FORMATS[name]} bits is lost. How near they come to those of the batches no log "
        "shows: bn_tb.check(model, batches) does. Better keep them in float32."
    )


def _how_to_be_judged(subject: Subject) -> str:
    if any(other.layers for other in subject.related):
        return ""
    fix = FIXES[likely_framework(subject.run)]
    monitor = monitor_of(subject.run)
    or_monitor = f"\n\nor let a monitor log and judge them:\n\n{monitor}" if monitor else ""
    return f"To have its statistics judged, {_sentence(fix)}{or_monitor}"


def _sentence(fix: str) -> str:
    return f"in {fix}" if fix.startswith("PyTorch") else fix[0].lower() + fix[1:]


GAP = RULES["BN501"]
"""The rule whose limits say when training and evaluation part."""
