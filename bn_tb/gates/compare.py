"""Two sets of diagnoses side by side: which findings a change cured, caused or left."""

import dataclasses
import enum
import itertools
from collections.abc import Callable, Sequence

from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.gates.baseline import KnownFinding, known

Key = tuple[str, str, str]


class Kind(enum.Enum):
    """What became of a finding."""

    CAUSED = "caused"
    CURED = "cured"
    UNCHANGED = "unchanged"


@dataclasses.dataclass(frozen=True)
class Change:
    """What became of one finding.

    Attributes:
      kind: Caused, cured or unchanged.
      run: The run: the new one, for cured findings the old one.
      finding: The finding in that run.
      layers: The layers of the finding of which this is so; empty if it names none.
    """

    kind: Kind
    run: RunDiagnosis
    finding: Finding
    layers: tuple[str, ...]


def by_name(run: RunDiagnosis) -> str:
    """Returns the name by which runs of two logdirs are the same."""
    return run.subject.run.name


def by_place(run: RunDiagnosis) -> str:
    """Returns the name by which runs of two looks at the same logdirs are the same."""
    return f"{run.subject.run.logdir}\n{run.subject.run.name}"


def compare(
    old: Sequence[RunDiagnosis],
    new: Sequence[RunDiagnosis],
    identify: Callable[[RunDiagnosis], str] = by_name,
) -> tuple[Change, ...]:
    """Returns the changes: caused ones first, then cured and unchanged ones.

    A finding is compared layer by layer: of a fault that left one of three layers, one is cured
    and two are unchanged. Two single runs are compared whatever their names are. Runs that are
    gone cure nothing.

    Args:
      old: Diagnoses before.
      new: Diagnoses after.
      identify: Returns what is equal for the same run in both.
    """
    if len(old) == len(new) == 1:
        identify = _same
    before, after = _by_key(old, identify), _by_key(new, identify)
    caused = {key: found for key, found in after.items() if key not in before}
    still_there = {identify(run) for run in new}
    cured = {
        key: found for key, found in before.items() if key not in after and key[0] in still_there
    }
    unchanged = {key: found for key, found in after.items() if key in before}
    return (
        *_grouped(Kind.CAUSED, caused),
        *_grouped(Kind.CURED, cured),
        *_grouped(Kind.UNCHANGED, unchanged),
    )


def untouched(changes: Sequence[Change]) -> tuple[KnownFinding, ...]:
    """Returns the new findings of which no layer is new, for a gate that only the others fail."""
    grown = {id(change.finding) for change in changes if change.kind is Kind.CAUSED}
    return tuple(
        known(change.run, change.finding)
        for change in changes
        if change.kind is Kind.UNCHANGED and id(change.finding) not in grown
    )


def _same(run: RunDiagnosis) -> str:
    return ""


def _by_key(
    runs: Sequence[RunDiagnosis], identify: Callable[[RunDiagnosis], str]
) -> dict[Key, tuple[RunDiagnosis, Finding]]:
    keys: dict[Key, tuple[RunDiagnosis, Finding]] = {}
    for run in runs:
        name, without_layers = identify(run), itertools.count()
        for finding in run.findings:
            # Messages hold steps and grow with the log: what names no layer is told apart by order.
            for layer in finding.layers or (f"\n{next(without_layers)}",):
                keys[name, finding.code, layer] = (run, finding)
    return keys


def _grouped(kind: Kind, found: dict[Key, tuple[RunDiagnosis, Finding]]) -> list[Change]:
    changes: dict[tuple[int, int], Change] = {}
    for (_, _, layer), (run, finding) in found.items():
        key = (id(run), id(finding))
        before = changes[key].layers if key in changes else ()
        own = (layer,) if finding.layers else ()
        changes[key] = Change(kind, run, finding, (*before, *own))
    return sorted(changes.values(), key=lambda change: -change.finding.severity)
