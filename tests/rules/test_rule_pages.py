"""Every rule has its manual page, and docs/rules.md shows all of them as they are."""

import importlib.util
import re

import pytest

from bn_tb.diagnosis import VERDICTS
from bn_tb.rules import ALL_RULES
from tests.places import ROOT

HEADINGS = [
    "What it does",
    "Why is this bad?",
    "How it is decided",
    "Example",
    "When it is wrong",
    "How to fix it",
    "References",
]


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_every_page_has_all_headings_in_order_and_something_under_each(rule):
    sections = re.split(r"^## (.+)$", rule.manual, flags=re.MULTILINE)
    assert sections[1::2] == HEADINGS
    assert all(text.strip() for text in sections[2::2])


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_every_limit_is_named_on_the_page_with_unit_and_origin(rule):
    for name, limit in rule.limits.items():
        assert f"`{name}`" in rule.manual, name
        assert limit.unit and limit.origin


def test_codes_are_sorted_and_unique_and_files_are_named_like_rules():
    codes = [rule.code for rule in ALL_RULES]
    assert codes == sorted(set(codes))
    files = {path.stem for path in (ROOT / "bn_tb" / "rules").glob("[a-z]*.py")}
    assert files - {"rule", "subject", "verdict", "how_to_log"} == {
        rule.name.replace("-", "_") for rule in ALL_RULES
    }


def test_every_code_of_the_contract_has_its_rule_and_no_other():
    contract = {
        *(f"BN1{n:02}" for n in range(1, 10)),
        *(f"BN2{n:02}" for n in range(1, 7)),
        *(f"BN3{n:02}" for n in range(1, 5)),
        *(f"BN4{n:02}" for n in range(1, 11)),
        *("BN501", "BN502", "BN503"),
        *(f"BN9{n:02}" for n in range(1, 6)),
    }
    assert {rule.code for rule in ALL_RULES} == contract


def test_docs_rules_md_is_current():
    path = ROOT / "scripts" / "gen_rule_docs.py"
    spec = importlib.util.spec_from_file_location("gen_rule_docs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == module.page()


def test_verdicts_are_those_of_the_contract_worst_first():
    worst_first = "broken stale lagging suspect frozen healthy"
    unjudged = "insufficient not-logged unknown no-batch-norm unreadable"
    assert list(VERDICTS) == [*worst_first.split(), *unjudged.split()]
