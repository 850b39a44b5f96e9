"""Findings that a team has looked at and accepted, each with its reason."""

import dataclasses
import fnmatch

from bn_tb.diagnosis import Finding


@dataclasses.dataclass(frozen=True)
class Suppression:
    """One entry of `[[tool.bn_tb.suppress]]`.

    Attributes:
      code: Rule code, such as `BN101`.
      reason: Why the finding is accepted; never empty.
      layer: Shell pattern of layer names, case-sensitive.
      run: Shell pattern of run names, case-sensitive.
    """

    code: str
    reason: str
    layer: str = "*"
    run: str = "*"

    def accepts(self, run: str, finding: Finding, layer: str) -> bool:
        """Returns whether this entry speaks of one layer of a finding (`""`: of no layer)."""
        return (
            finding.code == self.code
            and fnmatch.fnmatchcase(run, self.run)
            and fnmatch.fnmatchcase(layer, self.layer)
        )


def accepting(
    suppressions: tuple[Suppression, ...], run: str, finding: Finding
) -> tuple[Suppression, ...]:
    """Returns the entries that accept a finding, or nothing if they leave one of its layers out."""
    used: dict[Suppression, None] = {}
    for layer in finding.layers or ("",):
        matching = [entry for entry in suppressions if entry.accepts(run, finding, layer)]
        if not matching:
            return ()
        used.update(dict.fromkeys(matching))
    return tuple(used)
