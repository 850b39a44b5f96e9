"""Every rule fires where it must and is silent just under its limit and on look-alikes."""

import numpy as np
import pytest

from bn_tb.diagnosis import Options, diagnose
from bn_tb.graph.graph_evidence import Wiring
from bn_tb.rules import ALL_RULES
from bn_tb.rules._wiring import op_lines
from bn_tb.rules.subject import Subject
from tests.builders.synthetic import codes, evidence, layer, run
from tests.rules import cases_graphs, cases_histograms, cases_runs
from tests.rules.case import CASES

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


@pytest.mark.parametrize(
    ("variance", "proof"),
    [
        (0.005, "its initial 1 is down to 5 % of what is stored at step 821"),
        (0.5, None),
    ],
    ids=["far below 1: the later step is named", "about 1: there is nothing to add"],
)
def test_a_cold_start_names_the_step_at_which_a_small_variance_shows(variance, proof):
    steps = np.arange(501)
    decay = 0.99 ** steps[:, None] * np.ones(4)
    run_of_500 = run(layer("bn", 0.3 * (1 - decay), decay + (1 - decay) * variance, steps))
    (judged,) = diagnose([run_of_500], Options(momentum=0.99))
    (finding,) = judged.findings
    assert finding.code == "BN202"
    assert finding.step == 299
    assert [line for line in finding.evidence if "initial 1" in line] == (
        [f"the variance of bn is only {variance:g}: {proof}"] if proof else []
    )


def test_proof_names_the_update_ops_of_one_layer_and_counts_the_others():
    layers = [cases_graphs._wiring(name, mean=(Wiring.NONE,)) for name in "abc"]
    (found,) = evidence("BN401", cases_graphs._judged(*layers))
    assert found.proof == (
        "update ops needed by nothing: a/moving_mean/0, a/moving_variance/0 and 4 more of 2 layers",
        "the optimizer's ops: train/ApplyAdam",
    )


def test_proof_tells_update_ops_apart_by_what_needs_them():
    half = cases_graphs._wiring("a", mean=(Wiring.NONE,), variance=(Wiring.TRAIN,))
    made = cases_graphs._judged(half)
    assert op_lines(made.layers, made.graph)[:2] == (
        "update ops needed by nothing: a/moving_mean/0",
        "update ops needed by train: a/moving_variance/0",
    )
