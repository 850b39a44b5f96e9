"""The recipes of BUILD.md lead to places that are there, and a rule is one file and one line."""

import dataclasses
import re

import pytest

from bn_tb.diagnosis import diagnose, diagnosing
from bn_tb.reports import RENDERERS, render
from bn_tb.rules import ALL_RULES, RULES
from bn_tb.rules.subject import Evidence
from bn_tb.rules.verdict import Meaning, Verdict
from tests.builders import synthetic
from tests.places import ROOT

TEXT = (ROOT / "BUILD.md").read_text(encoding="utf-8")
RECIPES = TEXT[TEXT.index("## Recipes") : TEXT.index("## Release")]
PATHS = re.findall(r"`((?:bn_tb|tests|scripts)/[\w/.]+)`", RECIPES)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_a_recipe_exists(path):
    assert (ROOT / path).exists()


def test_a_rule_that_is_added_speaks_and_gives_its_verdict(monkeypatch):
    def check(subject, limits):
        yield Evidence("Made up.", (), "Nothing.", tuple(one.layer for one in subject.layers[:0]))

    rule = dataclasses.replace(
        ALL_RULES[0], code="BN199", name="made-up", check=check, covers=(), explained_by=(),
        meaning=Meaning(Verdict.SUSPECT),
    )  # fmt: skip
    rules = (*ALL_RULES, rule)
    for module in (diagnosing, __import__("bn_tb.diagnosis.folding", fromlist=["x"])):
        monkeypatch.setattr(module, "ALL_RULES", rules)
    monkeypatch.setitem(RULES, "BN199", rule)
    (judged,) = diagnose([synthetic.run(None, {"loss": synthetic.scalar([0, 1], [1, 0.5])})])
    assert [finding.code for finding in judged.findings] == ["BN199"]
    assert judged.verdict == "suspect"


def test_a_report_format_that_is_added_is_rendered(monkeypatch):
    monkeypatch.setitem(RENDERERS, "mine", "bn_tb.reports.json_report")
    assert render((), "mine").startswith("{")
