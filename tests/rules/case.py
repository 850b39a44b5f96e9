"""The table of cases that every rule is held to."""

import dataclasses
from collections.abc import Callable
from typing import Any

KINDS = ("fires", "under", "look-alike", "short", "NaN")
"""Must fire; just under the limit; looks alike and is another thing; too short; not finite."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
      code: The rule.
      kind: One of `KINDS`; only `fires` must give the code.
      sentence: What is the case.
      make: Returns a run, or runs and options, or a Subject.
    """

    code: str
    kind: str
    sentence: str
    make: Callable[[], Any]

    def __str__(self) -> str:
        return f"{self.code} {self.kind}: {self.sentence}"


CASES: list[Case] = []


def case(code: str, kind: str, sentence: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Adds a row to the table."""
    assert kind in KINDS

    def add(make: Callable[[], Any]) -> Callable[[], Any]:
        CASES.append(Case(code, kind, sentence, make))
        return make

    return add
