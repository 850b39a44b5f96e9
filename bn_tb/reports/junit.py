"""JUnit XML, for CI servers: a suite per run, a test case per layer."""

import xml.etree.ElementTree as ET

from bn_tb.diagnosis import Finding, RunDiagnosis
from bn_tb.reports import wording
from bn_tb.reports.report import UNJUDGED, Report, View
from bn_tb.reports.safe_text import lines, one_line

WHOLE_RUN = "(run)"
"""Name of the test case for what concerns no single layer."""


def render(report: Report, view: View) -> str:
    """Returns the report as JUnit XML in ASCII.

    A finding that fails the gate is a failure, a run that could not be read an error, one that
    could not be judged is skipped; all other findings are in `system-out`.
    """
    root = ET.Element("testsuites", name="bn_tb")
    for run in report.runs:
        root.append(_suite(report, run))
    if report.problems:
        suite = ET.SubElement(root, "testsuite", name="logdirs")
        for problem in report.problems:
            case = ET.SubElement(suite, "testcase", name=one_line(problem), classname="bn_tb")
            ET.SubElement(case, "error", message=one_line(problem), type="unusable")
    for element in (*root, root):
        _count(element)
    ET.indent(root)
    xml: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return xml.decode("ascii") + "\n"


def _suite(report: Report, run: RunDiagnosis) -> ET.Element:
    name = wording.run_name(report, run)
    suite = ET.Element("testsuite", name=name)
    verdicts = {judged.layer: judged.verdict for judged in run.layers}
    about: dict[str, list[Finding]] = {layer: [] for layer in verdicts or (WHOLE_RUN,)}
    for finding in run.findings:
        for layer in finding.layers or (WHOLE_RUN,):
            about.setdefault(layer, []).append(finding)
    for layer, findings in about.items():
        case = ET.SubElement(suite, "testcase", name=one_line(layer), classname=name)
        _outcome(case, report, run, verdicts.get(layer, run.verdict), findings)
    return suite


def _outcome(
    case: ET.Element, report: Report, run: RunDiagnosis, verdict: str, findings: list[Finding]
) -> None:
    failures = [finding for finding in findings if report.fails(run, finding)]
    for finding in failures:
        failure = ET.SubElement(case, "failure", message=_title(finding), type=finding.code)
        failure.text = _body(finding)
    if verdict == "unreadable":
        ET.SubElement(case, "error", message=wording.reason(run), type=verdict)
    elif verdict in (*UNJUDGED, "not-logged") and not failures:
        ET.SubElement(case, "skipped", message=wording.MEANING[verdict])
    rest = [_told(report, run, finding) for finding in findings if finding not in failures]
    if rest:
        ET.SubElement(case, "system-out").text = "\n\n".join(rest)


def _title(finding: Finding) -> str:
    return one_line(f"{finding.code} {finding.name}: {finding.message}")


def _body(finding: Finding) -> str:
    proof = [one_line(line) for line in finding.evidence]
    return "\n".join([one_line(finding.message), *proof, "Fix:", *lines(finding.fix)])


def _told(report: Report, run: RunDiagnosis, finding: Finding) -> str:
    state = finding.severity.label
    if reason := report.suppressed(run, finding):
        state += f", suppressed: {one_line(reason)}"
    elif report.known(finding):
        state += ", known"
    return f"{_title(finding)} ({state})"


def _count(element: ET.Element) -> None:
    for attribute, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        element.set(attribute, str(sum(1 for _ in element.iter(tag))))
