"""What a rule is: a code, a name, limits, a manual page, one pure function, and what it means."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity


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
      meaning: What its findings make of their layers.
      explained_by: Codes that explain it where they speak of the same layers: told inside it, their
        fix instead of its.
      keeps_fix: Whether its own fix stays when it is explained.
      covers: Codes that it makes superfluous where they speak of the same layers.
      once: Whether it is told once an experiment, in the first run that shows it.
      tells_cost: Whether its findings say what those that they name as causes cost: accepted,
        ignored and shown with these.
    """

    code: str
    name: str
    severity: Severity
    check: Check
    manual: str
    limits: Mapping[str, Limit] = dataclasses.field(default_factory=dict)
    meaning: Meaning = Meaning()
    explained_by: tuple[str, ...] = ()
    keeps_fix: bool = False
    covers: tuple[str, ...] = ()
    once: bool = False
    tells_cost: bool = False

    @property
    def about_updates(self) -> bool:
        """Whether it judges if and how fast statistics move (BN1xx, BN2xx): not what is frozen."""
        return self.code[2] in "12"
