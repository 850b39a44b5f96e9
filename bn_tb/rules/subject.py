"""What a rule is given, and what it gives."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from bn_tb.evidence.activity import Activity
from bn_tb.evidence.clock import Clock
from bn_tb.evidence.copies import Copy
from bn_tb.evidence.lag import Lag
from bn_tb.evidence.metrics import Gap, Metric, widest_gap
from bn_tb.evidence.modes import Modes
from bn_tb.graph.graph_evidence import GraphEvidence
from bn_tb.layers import BatchNormLayer
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.run import Run


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One fault that a rule found; `diagnose` turns it into a Finding.

    Attributes:
      message: The cause in words a newcomer understands, then the numbers.
      proof: Lines of evidence: tags, steps, values, op names.
      fix: What to change, with code for the framework found.
      layers: Names of the layers that share the fault.
      step: The step it speaks of, or None.
      severity: Overrides the rule's severity.
      confidence: How well it is proved.
      causes: Codes of other findings that it names as its cause.
      keeps_fix: Whether its fix holds beside any cause that is folded into it, as it knows more.
      over: Whether the statistics recovered from it before the log ends: it makes layers suspect
        at most, and explains nothing at the end.
    """

    message: str
    proof: tuple[str, ...]
    fix: str
    layers: tuple[str, ...] = ()
    step: int | None = None
    severity: Severity | None = None
    confidence: Confidence = Confidence.CONFIRMED
    causes: tuple[str, ...] = ()
    keeps_fix: bool = False
    over: bool = False


@dataclasses.dataclass(frozen=True)
class Found:
    """What the rules before found, in their order.

    Attributes:
      entries: Codes of rules, each with one piece of evidence.
    """

    entries: tuple[tuple[str, Evidence], ...] = ()

    def of(self, code: str) -> tuple[Evidence, ...]:
        """Returns what one rule found."""
        return tuple(evidence for found, evidence in self.entries if found == code)

    def plus(self, code: str, evidence: Iterable[Evidence]) -> "Found":
        """Returns this together with what one more rule found."""
        return Found((*self.entries, *((code, piece) for piece in evidence)))


@dataclasses.dataclass(frozen=True)
class Subject:
    """What rules judge: one run, its layers, its graph, and the related runs of its experiment.

    Attributes:
      run: The run.
      layers: Its batch-norm layers.
      graph: What its graphs prove, or None without a readable graph.
      related: The other runs of the same experiment (train/, validation/, rank0/ ...).
      clock: Updates of the statistics per logged step.
      copies: Layers that belong to a copy of the network, by name.
      lags: What is left of the initial values, one entry per layer.
      activity: What proves that the run trained.
      metrics: The metrics of the run.
      modes: What a model in memory does in both modes, for `bn_tb.check`; else None.
      found: What the rules before found; only rules about consequences read it.
    """

    run: Run
    layers: tuple[BatchNormLayer, ...] = ()
    graph: GraphEvidence | None = None
    related: tuple["Subject", ...] = ()
    clock: Clock = dataclasses.field(default_factory=Clock)
    copies: Mapping[str, Copy] = dataclasses.field(default_factory=dict)
    lags: tuple[Lag, ...] = ()
    activity: Activity = dataclasses.field(default_factory=Activity)
    metrics: tuple[Metric, ...] = ()
    modes: Modes | None = None
    found: Found = Found()

    @property
    def updates_per_step(self) -> float | None:
        """Updates of the statistics per logged step, or None if unknown."""
        return self.clock.updates_per_step

    @property
    def experiment(self) -> tuple["Subject", ...]:
        """The run and its related runs."""
        return (self, *self.related)

    def gap(self, limits: Mapping[str, float]) -> Gap | None:
        """Returns where a metric is good in training and bad in evaluation; see `widest_gap`."""
        return widest_gap((one for each in self.experiment for one in each.metrics), limits)


def beside_each_other(subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """Returns the runs of one experiment, each with the others as its `related`."""
    return tuple(
        dataclasses.replace(
            subject, related=tuple(other for other in subjects if other is not subject)
        )
        for subject in subjects
    )
