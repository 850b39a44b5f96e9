"""How often each code was found, the most frequent first: `--statistics`."""

import collections

from bn_tb.reports.report import Report
from bn_tb.reports.wording import count
from bn_tb.rules import RULES


def render(report: Report) -> str:
    """Returns a line per code: findings, layers, runs; suppressed and known ones are left out."""
    findings: collections.Counter[tuple[str, str]] = collections.Counter()
    layers: collections.Counter[tuple[str, str]] = collections.Counter()
    runs: dict[tuple[str, str], set[int]] = {}
    for run, finding in report.findings():
        if report.suppressed(run, finding) or report.known(finding):
            continue
        key = (finding.code, finding.severity.label)
        findings[key] += 1
        layers[key] += len(finding.layers)
        runs.setdefault(key, set()).add(id(run))
    lines = [
        f"{number:6,}  {code}  {RULES[code].name:<32}  {severity:<7}  "
        f"{count(layers[code, severity], 'layer')} in {count(len(runs[code, severity]), 'run')}\n"
        for (code, severity), number in findings.most_common()
    ]
    return "".join(lines) or f"no findings in {count(len(report.runs), 'run')}\n"
