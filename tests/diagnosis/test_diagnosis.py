"""Verdicts, folding of causes, and what a user may say about the logs."""

import dataclasses
import time

import numpy as np

from bn_tb.diagnosis import VERDICTS, Options, diagnose
from bn_tb.diagnosis.folding import fold
from bn_tb.evidence.clock import clock_of
from bn_tb.rules.subject import Evidence, Found
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.run import FileReport, GraphSource
from tests.builders import graph_bytes
from tests.builders.synthetic import (
    averages,
    batch_statistics,
    codes,
    constant,
    histogram,
    layer,
    run,
    scalar,
    subject,
    trained,
    verdicts,
)

STEPS = np.arange(0, 100, 10)


def _rng():
    return np.random.default_rng(0)


def _moving(name="bn", updates=50):
    return layer(name, *averages(*batch_statistics(_rng(), updates), 0.9))


def _stale(name="bn"):
    return layer(name, constant(0, 10), constant(1, 10), STEPS, {"gamma": trained(_rng(), 10)})


def _frozen(name="bn"):
    return layer(name, constant(3, 10), constant(2, 10), STEPS)


def test_the_verdict_of_a_run_is_that_of_its_worst_layer():
    broken = layer("c", constant(np.nan, 10), constant(1, 10), STEPS)
    assert verdicts(run({**_moving("a"), **_stale("b")})) == {"train": "stale"}
    assert verdicts(run({**_moving("a"), **_frozen("b")})) == {"train": "frozen"}
    assert verdicts(run({**_stale("a"), **broken})) == {"train": "broken"}


def test_a_run_without_batch_norm_and_a_run_that_cannot_be_read_say_so():
    damaged = run(files=(FileReport("f", 100, 1, "corrupt", "byte 0: checksum"),))
    scalars, weight = {"loss": scalar(STEPS, STEPS)}, histogram(STEPS, constant(1, 10))
    assert verdicts(run(None, scalars)) == {"train": "unknown"}
    assert verdicts(run({"dense/kernel": weight}, scalars)) == {"train": "no-batch-norm"}
    assert verdicts(damaged) == {"train": "unreadable"}


def test_a_snapshot_and_a_run_that_does_not_train_are_insufficient():
    snapshot = layer("bn", constant(0, 1), constant(1, 1))
    still = layer("bn", constant(0, 10), constant(1, 10), STEPS, {"gamma": constant(1, 10)})
    assert verdicts(run(snapshot)) == verdicts(run(still)) == {"train": "insufficient"}


def test_every_layer_diagnosis_stands_beside_its_layer():
    (diagnosis,) = diagnose([run({**_moving("a"), **_stale("b")})])
    named = {one.layer: one for one in diagnosis.layers}
    assert [one.layer for one in diagnosis.layers] == [x.name for x in diagnosis.subject.layers]
    assert named["a"].verdict == "healthy" and named["a"].last_change_step == 50
    assert named["b"].verdict == "stale" and named["b"].initial_weight == 1.0
    assert named["b"].last_change_step is None


def test_a_cause_is_told_inside_its_consequence_with_its_proof_and_its_fix():
    stale, rest, info = fold(
        Found(
            (
                ("BN101", Evidence("stale", ("constant",), "general", ("a", "b"))),
                ("BN401", Evidence("unwired", ("needed by nothing",), "wire it", ("a", "b", "no"))),
                ("BN401", Evidence("moves", (), "wire it", ("c",), severity=Severity.INFO)),
            )
        )
    )
    assert (stale.code, stale.causes) == ("BN101", ("BN401",))
    assert stale.evidence.proof == ("constant", "needed by nothing")
    assert stale.evidence.fix == "wire it"
    assert rest.evidence.layers == ("no",)
    assert info.evidence.layers == ("c",)


def test_a_copy_is_told_by_its_own_code_alone():
    stale, copy = Evidence("stale", (), "", ("ema.bn",)), Evidence("copy", (), "", ("ema.bn",))
    assert [one.code for one in fold(Found((("BN101", stale), ("BN107", copy))))] == ["BN107"]


def test_a_gap_is_explained_once_an_experiment_beside_its_cause_and_names_it():
    metrics = {"accuracy": scalar(STEPS, np.linspace(0.1, 0.99, 10))}
    bad = {"accuracy": scalar(STEPS, np.full(10, 0.1))}
    runs = (run(_stale(), metrics, name="x/train"), run(_stale(), bad, name="x/validation"))
    findings = [one for diagnosis in diagnose(runs) for one in diagnosis.findings]
    gaps = [one for one in findings if one.code == "BN501"]
    assert len(gaps) == 1
    assert gaps[0].causes == ("BN101",) and "BN101" in gaps[0].message


def test_frozen_layers_with_a_gap_are_a_warning():
    metrics = {
        "acc": scalar(STEPS, np.linspace(0.1, 0.99, 10)),
        "val_acc": scalar(STEPS, np.full(10, 0.1)),
    }
    (calm,), (alarmed,) = diagnose([run(_frozen())]), diagnose([run(_frozen(), metrics)])
    assert [one.severity for one in calm.findings] == [Severity.INFO]
    assert [one.severity for one in alarmed.findings] == [Severity.WARNING]
    assert alarmed.verdict == "frozen"


def test_select_and_ignore_choose_what_is_reported_and_leave_the_verdict():
    judged = run({**_stale("a"), **_frozen("b")})
    assert codes(judged, options=Options(select=("BN101",))) == {"BN101"}
    assert codes(judged, options=Options(ignore=("BN1",))) == set()
    assert verdicts(judged, options=Options(ignore=("BN1",))) == {"train": "stale"}


def test_a_limit_may_be_moved():
    (diagnosis,) = diagnose(
        [run(_moving(updates=20))],
        Options(momentum=0.9, limits={"BN201": {"lagging": 0.2}}),
    )
    assert diagnosis.layers[0].initial_weight == 0.9**20
    assert "BN201" not in {one.code for one in diagnosis.findings}
    assert "BN201" in codes(run(_moving(updates=20)), options=Options(momentum=0.9))


def test_a_fingerprint_names_run_code_and_layers_and_not_the_steps():
    def fingerprints(points, name="train"):
        stale = layer("bn", constant(0, points), constant(1, points))
        return {one.fingerprint for one in diagnose([run(stale, name=name)])[0].findings}

    assert fingerprints(10) == fingerprints(20)
    assert fingerprints(10) != fingerprints(10, "other")
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in fingerprints(10))


def test_evidence_on_metrics_alone_is_confirmed_and_on_steps_alone_likely():
    bare = layer("bn", constant(0, 10), constant(1, 10), STEPS)
    loss = {"loss": scalar(STEPS, np.linspace(2, 1, 10))}
    (by_steps,), (by_metric,) = diagnose([run(bare)]), diagnose([run(bare, loss)])
    assert by_steps.findings[0].confidence is Confidence.LIKELY
    assert by_metric.findings[0].confidence is Confidence.CONFIRMED


def test_names_from_hostile_files_stay_short():
    name = "n" * 5000
    (diagnosis,) = diagnose([run(_stale(name))])
    for finding in diagnosis.findings:
        assert len(finding.message) < 1000
        assert all(len(line) < 1000 for line in finding.evidence)


def test_four_times_the_layers_take_about_four_times_as_long():
    one = {**_moving("x"), **_stale("y")}

    def seconds(layers):
        tags = {f"net/{n}/{tag}": series for n in range(layers // 2) for tag, series in one.items()}
        judged, times = run(tags), []
        for _ in range(2):
            start = time.process_time()
            (diagnosis,) = diagnose([judged])
            times.append(time.process_time() - start)
        assert len(diagnosis.layers) == layers
        return min(times)

    assert seconds(2000) < 10 * seconds(500)  # anything quadratic would take sixteen times


def test_keras_epochs_are_converted_by_the_iterations_of_the_validation_run():
    steps = np.arange(5)
    train = run(
        layer("bn", constant(2, 5), constant(2, 5), steps), {"epoch_loss": scalar(steps, steps)}
    )
    validation = run(
        None,
        {
            "epoch_loss": scalar(steps, steps),
            "evaluation_loss_vs_iterations": scalar(40 * (steps + 1), steps),
        },
        name="validation",
    )
    clock = clock_of(train, [validation])
    assert (clock.unit, clock.updates(0), clock.updates(4)) == ("epoch", 40, 200)
    assert clock_of(train).updates(4) is None


def test_keras_epochs_are_converted_by_scalars_of_batches():
    steps, batches = np.arange(5), np.arange(0, 200, 10)
    scalars = {"epoch_loss": scalar(steps, steps), "batch_loss": scalar(batches, batches)}
    clock = clock_of(run(layer("bn", constant(2, 5), constant(2, 5), steps), scalars))
    assert (clock.updates_per_step, clock.updates(4)) == (40, 200)


def _hostile(rng, points):
    """Returns a series of numbers that no network wrote, at steps in any order."""
    numbers = [0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e308, -1e308, 1e-320]
    made = histogram(np.zeros(points), constant(0, points))
    columns = {
        name: rng.choice(numbers, points) for name in ("minimum", "maximum", "total", "sum_squares")
    }
    steps = rng.choice([rng.integers(-5, 9, points), np.arange(points) // 2])
    counts = rng.choice([0.0, 1.0, 8.0], points)
    identity = rng.integers(0, 3, points).astype(np.uint64)
    return dataclasses.replace(made, steps=steps, count=counts, identity=identity, **columns)


def test_hostile_numbers_never_end_in_an_error():
    rng = np.random.default_rng(0)
    roles = ("moving_mean", "moving_variance", "gamma", "beta")
    for _ in range(200):
        histograms = {
            f"{name}{role}": _hostile(rng, int(rng.integers(1, 12)))
            for name in ("bn/", "ema/bn/", "")
            for role in roles
        }
        values = rng.choice([0.0, 1.0, np.nan, np.inf, -1e308], 4)
        scalars = {tag: scalar(np.arange(4), values) for tag in ("loss", "val_loss", "epoch_loss")}
        judged = [run(histograms, scalars, name=f"x/rank{rank}") for rank in range(2)]
        for momentum in (None, 0.999, 0.0):
            found = diagnose(judged, Options(momentum=momentum))
            assert {one.verdict for one in found} <= set(VERDICTS)


def test_a_restart_replaces_what_it_writes_again():
    steps = np.concatenate([np.arange(10), np.arange(5, 15)])
    values = np.random.default_rng(0).normal(2, 1, (20, 8))
    series = {f"bn/moving_{role}": histogram(steps, values) for role in ("mean", "variance")}
    judged = subject(run(series)).layers[0]
    assert judged.mean.steps.tolist() == list(range(15))
    assert judged.mean.total[5] == values[10].sum()


def test_statistics_that_end_long_before_the_run_are_said_to():
    loss = {"loss": scalar(np.arange(401), 1 / np.arange(1, 402))}
    (judged,) = diagnose([run(_moving(updates=200), loss)])
    assert judged.verdict == "healthy"
    assert "logged up to step 200 only (loss up to step 400)" in judged.remark


def test_a_diagnosis_names_the_graphs_of_its_run_and_does_not_hold_them():
    """Of a thousand runs they would be gigabytes."""
    data = graph_bytes.graph(*graph_bytes.layer("bn", "x"), *graph_bytes.optimizer())
    written = dataclasses.replace(run(), graphs=(GraphSource("graph_def", "", 0, data),))
    (diagnosis,) = diagnose([written])
    assert set(diagnosis.subject.graph.layers) == {"bn"}
    (left,) = diagnosis.subject.run.graphs
    assert (left.kind, left.data) == ("graph_def", b"")
    assert written.graphs[0].data == data
