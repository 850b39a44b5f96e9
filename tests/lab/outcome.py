"""What bn_tb says of a scenario, held against what is true of it."""

import dataclasses

import bn_tb
from tests.lab.scenario import Scenario


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A scenario as it was judged.

    Attributes:
      scenario: The scenario.
      verdict: Verdict of the scenario's run; `missing` where there is no such run.
      found: Codes of all findings of all runs.
      causes: Codes that were folded into a finding as its causes.
      alarms: Codes found with severity warning or error.
      text: Messages, fixes and remarks of all runs.
    """

    scenario: Scenario
    verdict: str
    found: frozenset[str]
    causes: frozenset[str]
    alarms: frozenset[str]
    text: str

    @property
    def missed(self) -> tuple[str, ...]:
        """Codes that should have been found, or listed as a cause."""
        told = self.found | self.causes
        findings = set(self.scenario.must) - self.found
        return tuple(sorted(findings | (set(self.scenario.causes) - told)))

    @property
    def false_alarms(self) -> tuple[str, ...]:
        """Codes that were warned of and are not true."""
        true = {*self.scenario.must, *self.scenario.causes, *self.scenario.may}
        return tuple(sorted(self.alarms - true))

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with the judgement, one line each; empty if it is right."""
        lines = [f"missed {code}" for code in self.missed]
        lines += [f"false alarm {code}" for code in self.false_alarms]
        if self.verdict not in self.scenario.verdicts:
            wanted = " or ".join(self.scenario.verdicts)
            lines.append(f"verdict of run {self.scenario.run!r}: {self.verdict}, want {wanted}")
        lines += [
            f"does not say {words!r}" for words in self.scenario.says if words not in self.text
        ]
        return tuple(lines)


def judge(scenario: Scenario, folder: str) -> Outcome:
    """Reads and judges the logs of a scenario."""
    runs = bn_tb.diagnose(bn_tb.read_logdir(folder))
    verdicts = {run.subject.run.name: run.verdict for run in runs}
    findings = [finding for run in runs for finding in run.findings]
    alarms = (f.code for f in findings if f.severity >= bn_tb.Severity.WARNING)
    return Outcome(
        scenario,
        verdicts.get(scenario.run, "missing"),
        frozenset(finding.code for finding in findings),
        frozenset(code for finding in findings for code in finding.causes),
        frozenset(alarms),
        "\n".join([f"{one.message}\n{one.fix}" for one in findings] + [run.remark for run in runs]),
    )
