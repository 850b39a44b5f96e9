"""What a rule is: a code, a name, limits, a manual page and one pure function."""

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping

from bn_tb.evidence.activity import Activity
from bn_tb.evidence.clock import Clock
from bn_tb.evidence.lag import Lag
from bn_tb.evidence.metrics import Metric
from bn_tb.graph.evidence import GraphEvidence
from bn_tb.layers import BatchNormLayer
from bn_tb.run import Run


class Severity(enum.IntEnum):
    """How much a finding matters; `label` is the name in reports."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        return self.name.lower()


class Confidence(enum.IntEnum):
    """How well a finding is proved; `label` is the name in reports."""

    SUSPECT = 1
    LIKELY = 2
    CONFIRMED = 3

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclasses.dataclass(frozen=True)
class Limit:
    """A threshold that users may override in their configuration file.

    Attributes:
      value: The default.
      unit: Its unit in words, such as `share of the initial value`.
      origin: Where the default comes from: a derivation, a paper, a thread, a calibration.
    """

    value: float
    unit: str
    origin: str


@dataclasses.dataclass(frozen=True)
class Subject:
    """What rules judge: one run, its layers, its graph, and the related runs of its experiment.

    Attributes:
      run: The run.
      layers: Its batch-norm layers.
      graph: What its graphs prove, or None without a readable graph.
      related: The other runs of the same experiment (train/, validation/, rank0/ ...).
      clock: Updates of the statistics per logged step.
      lags: What is left of the initial values, one entry per layer.
      activity: What proves that the run trained.
      metrics: The metrics of the run.
      found: Evidence of the rules before, by code; only rules about consequences read it.
    """

    run: Run
    layers: tuple[BatchNormLayer, ...] = ()
    graph: GraphEvidence | None = None
    related: tuple["Subject", ...] = ()
    clock: Clock = dataclasses.field(default_factory=Clock)
    lags: tuple[Lag, ...] = ()
    activity: Activity = dataclasses.field(default_factory=Activity)
    metrics: tuple[Metric, ...] = ()
    found: Mapping[str, tuple["Evidence", ...]] = dataclasses.field(default_factory=dict)

    @property
    def updates_per_step(self) -> float | None:
        """Updates of the statistics per logged step, or None if unknown."""
        return self.clock.updates_per_step

    @property
    def experiment(self) -> tuple["Subject", ...]:
        """The run and its related runs."""
        return (self, *self.related)


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
    """

    message: str
    proof: tuple[str, ...]
    fix: str
    layers: tuple[str, ...] = ()
    step: int | None = None
    severity: Severity | None = None
    confidence: Confidence = Confidence.CONFIRMED
    causes: tuple[str, ...] = ()


Check = Callable[[Subject, Mapping[str, float]], Iterator[Evidence]]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One fault.

    Attributes:
      code: Such as `BN101`; never reused.
      name: Such as `never-updated`; the file is `never_updated.py`.
      severity: Default severity.
      check: Judges a subject under the limits, by name.
      manual: The manual page in Markdown: the docstring of the rule's module.
      limits: Thresholds by name.
    """

    code: str
    name: str
    severity: Severity
    check: Check
    manual: str
    limits: Mapping[str, Limit] = dataclasses.field(default_factory=dict)
