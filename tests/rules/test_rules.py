"""Every rule fires where it must and is silent just under its limit and on look-alikes."""

import numpy as np
import pytest

from bn_tb.diagnosis import Options, diagnose
from bn_tb.evidence.figures import between
from bn_tb.graph.graph_evidence import Wiring
from bn_tb.rules import ALL_RULES
from bn_tb.rules._wiring import op_lines
from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Severity
from tests.builders.synthetic import (
    averages,
    batch_statistics,
    codes,
    evidence,
    layer,
    run,
    scalar,
    subject,
    trained,
)
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


@pytest.mark.parametrize("variance", [0.05, 0.5])
def test_a_cold_start_ends_where_the_initial_value_is_5_percent_of_what_is_stored(variance):
    steps = np.arange(701)
    decay = 0.99**steps
    stored = decay + (1 - decay) * variance
    spread = np.array([0.9, 1.0, 1.0, 1.1])
    mean, stored_all = (
        0.3 * (1 - decay)[:, None] * spread,
        decay[:, None] + (stored - decay)[:, None] * spread,
    )
    (judged,) = diagnose([run(layer("bn", mean, stored_all, steps))], Options(momentum=0.99))
    (finding,) = judged.findings
    share = decay / (stored + 1e-3)  # epsilon of Keras, which is divided by as well
    first = int(np.flatnonzero(share <= 0.05)[0])
    assert (finding.code, finding.step, judged.layers[0].trusted_from) == ("BN202", first, first)


def _poisoned(after, level=1.0, batches=1):
    """Returns the verdict on statistics, momentum 0.9, `after` updates behind bad batches."""
    mean, variance = batch_statistics(np.random.default_rng(0), 100 + batches + after)
    variance[100 : 100 + batches] *= 1e7
    variance[100 + batches :] *= level
    (judged,) = diagnose([run(layer("bn", *averages(mean, variance, 0.9)))])
    (finding,) = judged.findings
    assert finding.code == "BN304"
    return judged.verdict


@pytest.mark.parametrize("batches", [1, 2])
def test_a_poisoned_layer_is_broken_until_the_average_has_forgotten_the_batches(batches):
    needed = int(np.log(20 * 1e6) / -np.log(0.9))  # a tenth of 1e7 to 5 %
    verdicts = [_poisoned(after, batches=batches) for after in (2, needed // 2, needed, 200)]
    assert verdicts == ["broken", "broken", "broken", "suspect"]


def test_a_layer_whose_variance_does_not_come_back_to_its_level_stays_broken():
    assert _poisoned(300, level=9) == "suspect"
    assert _poisoned(300, level=20) == "broken"


def test_a_forgotten_batch_does_not_hide_a_growth_that_follows():
    mean, variance = batch_statistics(np.random.default_rng(0), 600)
    variance[100] *= 1e7
    variance[300:] *= np.geomspace(1, 1e8, 300)[:, None]
    (judged,) = diagnose([run(layer("bn", *averages(mean, variance, 0.9)))])
    assert judged.verdict == "broken"
    assert "does not stop" in judged.findings[0].message


@pytest.mark.parametrize(("after", "verdict"), [(10, "broken"), (70, "broken"), (150, "suspect")])
def test_a_mean_that_one_batch_poisoned_is_forgotten_by_its_own_pace(after, verdict):
    mean, variance = batch_statistics(np.random.default_rng(0), 100 + after)
    mean += 2 * np.linspace(0, 1, 100 + after)[:, None]  # and drifts meanwhile
    mean[100] += 1e4  # a tenth of it to 5 % of 0.7 takes 97 updates
    (judged,) = diagnose([run(layer("bn", *averages(mean, variance, 0.9)))])
    assert judged.verdict == verdict
    assert "moving mean" in judged.findings[0].message


def test_a_log_that_is_sparse_bounds_what_is_left_of_a_batch_by_its_own_points():
    mean, variance = batch_statistics(np.random.default_rng(0), 2000)
    variance[99] *= 1e7  # seen at update 100, and at update 200 no more
    values = [curve[::50] for curve in averages(mean, variance, 0.9)]
    (judged,) = diagnose([run(layer("bn", *values, np.arange(0, 2001, 50)))])
    (finding,) = judged.findings
    assert (finding.code, finding.step, judged.verdict) == ("BN304", 100, "suspect")
    assert "between step 100 and step 300" in finding.message


@pytest.mark.parametrize("code", ["BN401", "BN404", "BN405"])
def test_updates_that_run_in_another_way_need_no_fix(code):
    wired = cases_graphs._wiring("other")
    fields = {"in_update_ops": False, "keras": True} if code == "BN404" else {}
    unwired = cases_graphs._wiring(mean=(Wiring.NONE,), **fields)
    judged = cases_graphs._judged(unwired, wired, histograms=cases_graphs._moving())
    (found,) = evidence(code, judged)
    assert found.severity is Severity.INFO and found.fix.startswith("Nothing, while")


def _parted():
    steps = np.arange(9)
    good, bad = np.linspace(0.3, 0.99, 9), np.full(9, 0.3)
    return {"train/accuracy": scalar(steps, good), "val/accuracy": scalar(steps, bad)}


@pytest.mark.parametrize(("training", "severity"), [(True, Severity.WARNING), (False, None)])
def test_frozen_statistics_explain_a_gap_only_where_training_does_not_normalise_with_them(
    training, severity
):
    wiring = cases_graphs._wiring(mean=(), training=training, trained=False)
    frozen = cases_graphs._frozen(0.5)
    (found,) = evidence("BN102", cases_graphs._judged(wiring, histograms=frozen, scalars=_parted()))
    assert found.severity == severity
    assert ("as training does" in found.message) == (not training)


def test_a_graph_of_evaluation_does_not_show_what_training_normalises_with():
    wiring = cases_graphs._wiring(mean=(), training=False)
    parts = {"histograms": cases_graphs._frozen(0.5), "scalars": _parted()}
    (found,) = evidence("BN102", cases_graphs._judged(wiring, trains=False, **parts))
    assert found.severity is Severity.WARNING and "as training does" not in found.message


@pytest.mark.parametrize("own", [0.999, 0.9])
def test_a_lag_of_batch_renormalisation_is_not_filled_in_from_batches(own):
    curves = averages(*batch_statistics(np.random.default_rng(0), 50), 0.999)
    wiring = cases_graphs._wiring(momentum=0.999, renorm=True, renorm_momentum=own)
    (found,) = evidence("BN201", cases_graphs._judged(wiring, histograms=layer("bn", *curves)))
    assert ("so does training" in found.message) == (own == 0.999)
    assert ("renorm_stddev" in found.fix) == (own == 0.9)
    assert "recalibrate" not in found.fix
    assert found.severity == (Severity.WARNING if own == 0.999 else Severity.ERROR)


def test_stale_batch_renormalisation_is_trained_anew():
    wiring = cases_graphs._wiring(mean=(Wiring.NONE,), renorm=True)
    stale = cases_graphs._frozen(0.0)
    judged = cases_graphs._judged(wiring, histograms=stale, scalars=_parted())
    for code in ("BN101", "BN401"):
        (found,) = evidence(code, judged)
        assert "train the network anew" in found.fix and "recalibrate" not in found.fix


def test_batch_renormalisation_averages_the_deviation_so_that_small_variances_refute_nothing():
    deviation = np.full((200, 4), 0.02)
    mean, averaged = averages(np.full((200, 4), 0.1), deviation, 0.99)
    wiring = cases_graphs._wiring(momentum=0.99, renorm=True, renorm_momentum=0.99)
    judged = cases_graphs._judged(wiring, histograms=layer("bn", mean, averaged**2))
    assert evidence("BN205", judged) == ()
    (found,) = evidence("BN201", judged)
    assert "standard deviation" in found.message or "13 %" in found.message


def test_layers_of_one_pace_are_told_together_and_each_pace_apart():
    (found,) = evidence("BN205", subject(cases_histograms._two_paces(1, 3)))
    assert (found.layers, "updated 3 times" in found.message) == (("head.bn",), True)
    both = evidence("BN205", subject(cases_histograms._two_paces(2, 3)))
    assert [one.layers for one in both] == [("backbone.bn",), ("head.bn",)]
    (epochs,) = evidence("BN205", subject(cases_histograms._two_paces(1562, 1562)))
    assert "most likely epochs" in epochs.fix and "1,562 times" in epochs.message


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [(6.75, 6.75, "6.75"), (6.75, 6.751, "6.75 to 6.751"), (0, 1, "0 to 1")],
)
def test_a_range_of_one_number_is_written_once_and_others_so_that_they_differ(low, high, written):
    assert between(low, high) == written


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


def _seldom(period, every, momentum=0.9, updates=20):
    """Returns the diagnosis of statistics that are updated at every `period`-th step only."""
    mean, variance = batch_statistics(np.random.default_rng(0), updates, scale=4)
    values = [np.repeat(one, period, 0) for one in averages(mean, variance, momentum)]
    steps = np.arange(0, updates * period + 1, every)
    gamma = trained(np.random.default_rng(1), steps.size)
    logged = layer("bn", values[0][steps], values[1][steps], steps, {"gamma": gamma})
    (judged,) = diagnose([run(logged)], Options(momentum=momentum))
    return judged


@pytest.mark.parametrize("every", [1, 4, 5, 10])
def test_updates_are_counted_by_the_points_that_move_where_statistics_rest_between_them(every):
    judged = _seldom(20, every)
    assert judged.layers[0].updates == 20
    assert judged.layers[0].initial_weight == pytest.approx(0.9**20)
    assert "BN201" in {finding.code for finding in judged.findings}


def test_a_cold_start_ends_with_the_updates_that_it_takes_and_not_with_the_steps():
    judged = _seldom(20, 5, updates=60)
    assert judged.layers[0].trusted_from == 20 * 29
    (finding,) = [one for one in judged.findings if one.code == "BN202"]
    assert finding.step == 20 * 29


def test_curves_tell_a_lag_where_points_are_as_rare_as_the_updates():
    judged = _seldom(20, 20)
    assert judged.layers[0].initial_weight == pytest.approx(0.9**20, abs=0.05)
    assert "BN201" in {finding.code for finding in judged.findings}


def test_phases_of_movement_have_an_update_at_each_of_their_steps():
    mean, variance = batch_statistics(np.random.default_rng(0), 100)
    done = np.concatenate([[0], np.cumsum(np.arange(200) % 20 < 10)])
    values = [one[done] for one in averages(mean, variance, 0.99)]
    (judged,) = diagnose([run(layer("bn", *values))], Options(momentum=0.99))
    assert judged.layers[0].updates == 100
