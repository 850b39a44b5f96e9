"""What a rule is: a code, a name, limits, a manual page and one pure function."""

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping

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
      updates_per_step: Updates of the statistics per logged step, or None if unknown. 1 where
        steps are optimizer steps; steps per epoch where Keras logged epochs.
    """

    run: Run
    layers: tuple[BatchNormLayer, ...] = ()
    graph: GraphEvidence | None = None
    related: tuple["Subject", ...] = ()
    updates_per_step: float | None = None


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
    """

    message: str
    proof: tuple[str, ...]
    fix: str
    layers: tuple[str, ...] = ()
    step: int | None = None
    severity: Severity | None = None
    confidence: Confidence = Confidence.CONFIRMED


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
