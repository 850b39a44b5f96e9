"""Known findings, kept in a file, so that only new ones fail a gate."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from bn_tb import plain_values as plain
from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.errors import UsageError

VERSION = 1


@dataclasses.dataclass(frozen=True, order=True)
class KnownFinding:
    """One line of a baseline file; all but the fingerprint is there for the reviewer.

    Attributes:
      run: Run name.
      code: Rule code.
      layers: Layer names.
      fingerprint: Of the finding.
    """

    run: str
    code: str
    layers: tuple[str, ...]
    fingerprint: str


def known(run: RunDiagnosis, finding: Finding) -> KnownFinding:
    """Returns a finding as a baseline keeps it."""
    return KnownFinding(run.subject.run.name, finding.code, finding.layers, finding.fingerprint)


def load(path: str) -> tuple[KnownFinding, ...]:
    """Returns the findings of a baseline file.

    Raises:
      UsageError: The file cannot be read or is not a baseline.
    """
    try:
        document = plain.table(plain.json_of(plain.read(path)), "the document")
        if (version := document.get("bn_tb_baseline")) != VERSION:
            raise ValueError(f"version {plain.shown(version)}, want {VERSION}")
        entries = plain.items(document.get("findings"), "findings")
        return tuple(_parsed(entry, f"findings[{at}]") for at, entry in enumerate(entries))
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such baseline; write it with --baseline={path} --update_baseline"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot read the baseline: {error.strerror}") from None
    except (ValueError, UsageError) as error:
        raise UsageError(
            f"{path}: not a baseline of bn_tb ({error}); delete it and write it again with "
            f"--baseline={path} --update_baseline"
        ) from None


def dump(findings: Iterable[KnownFinding]) -> str:
    """Returns the text of a baseline file: sorted, so that a diff shows what changed."""
    entries = [dataclasses.asdict(finding) for finding in sorted(set(findings))]
    return json.dumps({"bn_tb_baseline": VERSION, "findings": entries}, indent=1) + "\n"


def _parsed(value: Any, place: str) -> KnownFinding:
    entry = plain.table(value, place)
    run, code, fingerprint = (
        plain.text(entry.get(key), f"{place}.{key}") for key in ("run", "code", "fingerprint")
    )
    layers = plain.texts(entry.get("layers"), f"{place}.layers")
    return KnownFinding(run, code, layers, fingerprint)
