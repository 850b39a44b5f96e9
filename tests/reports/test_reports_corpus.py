"""Every format on event files of other people's projects."""

import json

import jsonschema
import pytest

import bn_tb
from bn_tb import View
from tests.places import SHARED
from tests.reports.test_reports_machine import SCHEMA, read_junit, validate_sarif

CORPUS = SHARED / "corpus"


@pytest.fixture(scope="module")
def report():
    if not CORPUS.is_dir():
        pytest.skip(f"the corpus of foreign event files is not at {CORPUS}")
    return bn_tb.Report(bn_tb.diagnose(bn_tb.read_logdir(sorted(map(str, CORPUS.glob("*-*"))))))


def test_text_has_no_line_beyond_its_width_and_names_every_verdict(report):
    text = bn_tb.render(report, view=View(width=100))
    assert max(map(len, text.splitlines())) <= 100
    assert {run.verdict for run in report.runs} <= set(text.replace(",", " ").split())


def test_verbose_text_and_markdown_tell_every_finding(report):
    findings = sum(1 for _ in report.findings())
    text = bn_tb.render(report, view=View(verbose=True))
    assert sum(line.startswith(("  error BN", "  warning BN", "  info BN"))
               for line in text.splitlines()) == findings  # fmt: skip
    markdown = bn_tb.render(report, "markdown", View(verbose=True))
    assert markdown.count("\n#### BN") == findings


def test_json_follows_the_schema(report):
    jsonschema.validate(json.loads(bn_tb.render(report, "json")), SCHEMA)


def test_sarif_follows_the_official_schema(report):
    results = validate_sarif(bn_tb.render(report, "sarif"))["runs"][0]["results"]
    assert len(results) == sum(1 for _ in report.findings())


def test_junit_has_a_suite_per_run(report, tmp_path):
    assert len(read_junit(tmp_path, bn_tb.render(report, "junit"))) == len(report.runs)
