"""The words of a judgement: severity, confidence, verdict, and what makes which."""

import dataclasses
import enum


class Severity(enum.IntEnum):
    """How much a finding matters; `label` is the name in reports."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """The name in reports."""
        return self.name.lower()


class Confidence(enum.IntEnum):
    """How well a finding is proved; `label` is the name in reports."""

    SUSPECT = 1
    LIKELY = 2
    CONFIRMED = 3

    @property
    def label(self) -> str:
        """The name in reports."""
        return self.name.lower()


class Verdict(enum.IntEnum):
    """What a run or a layer is called, worst first; `label` is the name in reports."""

    BROKEN = 1
    STALE = 2
    LAGGING = 3
    SUSPECT = 4
    FROZEN = 5
    HEALTHY = 6
    INSUFFICIENT = 7
    NOT_LOGGED = 8
    UNKNOWN = 9
    NO_BATCH_NORM = 10
    UNREADABLE = 11

    @property
    def label(self) -> str:
        """The name in reports."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def of(cls, label: str) -> "Verdict":
        """Returns the verdict of this label."""
        return cls[label.upper().replace("-", "_")]


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What the findings of a rule make of their layers.

    Attributes:
      verdict: The verdict on them.
      as_info: Whether mere information means it too; else it means nothing.
      least: The confidence it takes; below it a warning makes layers suspect.
    """

    verdict: Verdict = Verdict.SUSPECT
    as_info: bool = False
    least: Confidence = Confidence.SUSPECT

    def of(self, severity: Severity, confidence: Confidence) -> Verdict | None:
        """Returns the verdict that one finding gives, or None."""
        if severity <= Severity.INFO and not self.as_info:
            return None
        return self.verdict if confidence >= self.least else Verdict.SUSPECT
