"""Every rule fires where it must and is silent just under its limit and on look-alikes."""

import pytest

from bn_tb.diagnosis import Options
from bn_tb.rules import ALL_RULES
from bn_tb.rules._rule import Subject
from tests import cases_graphs, cases_histograms, cases_runs
from tests.case import CASES
from tests.synthetic import codes, evidence

assert cases_graphs and cases_histograms and cases_runs  # their rows are in CASES


def _codes(made):
    made = made if isinstance(made, tuple) else (made,)
    options = next((one for one in made if isinstance(one, Options)), Options())
    return codes(*(one for one in made if not isinstance(one, Options)), options=options)


@pytest.mark.parametrize("row", CASES, ids=str)
def test_case(row):
    made = row.make()
    found = evidence(row.code, made) if isinstance(made, Subject) else row.code in _codes(made)
    assert bool(found) == (row.kind == "fires")


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_every_rule_has_a_case_that_fires_one_under_its_limit_and_a_look_alike(rule):
    kinds = {row.kind for row in CASES if row.code == rule.code}
    assert {"fires", "under", "look-alike"} <= kinds
