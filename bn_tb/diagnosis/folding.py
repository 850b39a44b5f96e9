"""One cause, once: what rules found, with causes and consequences put together."""

import dataclasses
from collections.abc import Iterator

from bn_tb.rules import ALL_RULES, RULES
from bn_tb.rules.subject import Evidence, Found


@dataclasses.dataclass(frozen=True)
class Folded:
    """Evidence to be reported.

    Attributes:
      code: Code of the rule.
      evidence: What it found, with the proof of its causes.
      causes: Codes that were folded into it.
    """

    code: str
    evidence: Evidence
    causes: tuple[str, ...] = ()


def fold(found: Found) -> tuple[Folded, ...]:
    """Returns what is to be reported of what rules found, by code."""
    entries = [Folded(code, evidence, evidence.causes) for code, evidence in found.entries]
    codes = {code for code, _ in found.entries}
    rules = [rule for rule in ALL_RULES if rule.code in codes]
    for rule in rules:
        entries = list(_folded(entries, rule.code, rule.covers, explains=False))
    for rule in rules:
        entries = list(_folded(entries, rule.code, rule.explained_by, explains=True))
    return tuple(_cured_with_cause(entry, entries) for entry in entries)


def _cured_with_cause(entry: Folded, entries: list[Folded]) -> Folded:
    """Returns a finding with the fix of the cause that its rule names: it cures both."""
    own = set(entry.evidence.layers)
    for cause in entries:
        if cause.code in entry.evidence.causes[:1] and own.intersection(cause.evidence.layers):
            evidence = dataclasses.replace(entry.evidence, fix=cause.evidence.fix)
            return dataclasses.replace(entry, evidence=evidence)
    return entry


def _folded(
    entries: list[Folded], headline: str, codes: tuple[str, ...], explains: bool
) -> Iterator[Folded]:
    """Yields the entries with those of `codes` folded into those of `headline`."""
    heads = [entry for entry in entries if entry.code == headline]
    covered = {layer for head in heads for layer in head.evidence.layers}
    for entry in entries:
        if entry.code == headline and explains:
            yield _explained(entry, [other for other in entries if other.code in codes])
        elif entry.code in codes and covered.intersection(entry.evidence.layers):
            rest = tuple(name for name in entry.evidence.layers if name not in covered)
            if rest:
                evidence = dataclasses.replace(entry.evidence, layers=rest)
                yield dataclasses.replace(entry, evidence=evidence)
        else:
            yield entry


def _explained(head: Folded, others: list[Folded]) -> Folded:
    """Returns a finding with the proof, the fix and the code of what explains its layers."""
    own = set(head.evidence.layers)
    causes = [other for other in others if own.intersection(other.evidence.layers)]
    if not causes:
        return head
    keeps = RULES[head.code].keeps_fix or head.evidence.keeps_fix
    fix = head.evidence.fix if keeps else causes[0].evidence.fix
    proof = [*head.evidence.proof, *(line for cause in causes for line in cause.evidence.proof)]
    return dataclasses.replace(
        head,
        evidence=dataclasses.replace(head.evidence, proof=tuple(dict.fromkeys(proof)), fix=fix),
        causes=tuple(dict.fromkeys((*head.causes, *(cause.code for cause in causes)))),
    )
