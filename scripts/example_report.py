"""Judges a logdir from Python: what `bn_tb.analyze` does, in three calls.

python scripts/example_report.py logs report.md
"""

import pathlib
import sys

import bn_tb


def main(logdir: str, target: str) -> None:
    """Writes a report for a pull request and prints the layers that evaluation cannot trust."""
    runs = bn_tb.read_logdir(logdir)
    diagnoses = bn_tb.diagnose(runs)
    pathlib.Path(target).write_text(bn_tb.render(diagnoses, "markdown"), encoding="utf-8")
    for run in diagnoses:
        for finding in run.findings:
            if finding.severity >= bn_tb.Severity.WARNING:
                layers = ", ".join(finding.layers) or "no layer"
                print(f"{run.subject.run.name}: {finding.code} {finding.name}: {layers}")


if __name__ == "__main__":
    main(*sys.argv[1:])
