"""What a scenario of the laboratory is: a real, short training run and what is true of it."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

QUIET = ("healthy", "frozen", "insufficient", "not-logged", "unknown", "no-batch-norm")
"""Verdicts of runs that need no repair."""


class Framework:
    """A module that is imported at its first use, so that scenarios can be listed without it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One training run and the diagnosis that is true of it.

    Attributes:
      name: Unique in the laboratory; the folder of its logs and the id of its test.
      log: Trains and writes event files below the folder it is given.
      truth: What is really the case, in one sentence.
      verdicts: Verdicts that are right for `run`; several where the evidence allows more than one.
      must: Codes that must be found in some run of the folder, at any severity.
      causes: Codes that must be listed as causes of the findings of `must`, or be findings.
      may: Codes of severity warning or error that are true as well; every other is a false alarm.
      run: The run whose verdict is asked for, as TensorBoard names it.
      says: Words that stand in the messages or fixes of its findings: the cause.
    """

    name: str
    log: Callable[[str], None]
    truth: str
    verdicts: tuple[str, ...]
    must: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    run: str = "."
    says: tuple[str, ...] = ()

    @property
    def faulty(self) -> bool:
        """Whether something is planted that the report has to warn of."""
        return not set(self.verdicts) <= set(QUIET)
