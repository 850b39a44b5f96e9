"""The studies: cells that resume, averages outside the graph, and each script in a short form."""

import csv
import functools
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from bn_tb.errors import UsageError
from bn_tb.training.study import cell, curves
from tests.places import ROOT

SCRIPTS = ROOT / "scripts"
PAGE = SCRIPTS.parent / "docs" / "studies.md"
SETTINGS = {"seed": 1, "steps": 5}


def results(value):
    return {cell.RESULTS: [{"seed": 1, "value": value}]}


def test_a_finished_cell_is_not_run_again(tmp_path):
    folder = tmp_path / "seed_1"
    cell.complete(folder, SETTINGS, lambda: results(1))
    cell.complete(folder, SETTINGS, lambda: pytest.fail("ran again"))
    assert cell.gather_tables([folder], cell.RESULTS, tmp_path) == [{"seed": "1", "value": "1"}]


def test_an_interrupted_cell_starts_anew_in_an_empty_folder(tmp_path):
    folder = tmp_path / "seed_1"

    def interrupted():
        (folder / "events.out.tfevents.1").write_text("half a run")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cell.complete(folder, SETTINGS, interrupted)
    cell.complete(folder, SETTINGS, lambda: results(2))
    assert sorted(path.name for path in folder.iterdir()) == [cell.RESULTS, "settings.json"]


def test_a_cell_of_other_settings_is_refused_and_kept(tmp_path):
    folder = tmp_path / "seed_1"
    cell.complete(folder, SETTINGS, lambda: results(1))
    with pytest.raises(UsageError, match=r"seed_1: was made with steps 5, not 6; give another"):
        cell.complete(folder, {**SETTINGS, "steps": 6}, lambda: results(2))
    assert (folder / cell.RESULTS).exists()


def test_a_folder_that_no_study_made_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds files that no study made"):
        cell.complete(tmp_path, SETTINGS, lambda: results(1))
    assert (tmp_path / "thesis.tex").exists()


def test_a_curve_has_a_row_for_each_seed():
    rows = [
        {"seed": str(seed), "step": str(step), "loss": str(10 * seed + step)}
        for seed in (2, 1)
        for step in (1, 2)
    ]
    steps, values = curves.curve(rows, "loss")
    assert steps.tolist() == [1, 2]
    assert values.tolist() == [[11, 12], [21, 22]]


@pytest.mark.parametrize(
    ("values", "text"), [([2.0], "2.0"), ([1.0, 3.0], "2.0 (1.0 to 3.0)")], ids=["one", "several"]
)
def test_a_mean_says_its_range_where_there_are_several_values(values, text):
    assert curves.mean_and_range(np.array(values), ".1f") == text


# --- averages and nets, which need tensorflow -------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """Three steps of two nets with equal weights, of momentum 0.9 and of 0: {what: value}."""
    pytest.importorskip("bn_tb.training.tf1", reason="tensorflow is not installed")
    from bn_tb.training import averages, data, model, side_by_side
    from bn_tb.training.tf1 import tf

    train = data.read_mnist().train
    contestants = [
        side_by_side.Contestant(
            name,
            functools.partial(
                model.dense_net, recipe=model.Recipe(momentum=momentum), depth=2, width=5
            ),
        )
        for name, momentum in (("layers", 0.9), ("outside", 0.0))
    ]
    with side_by_side.session_of(contestants, seed=1) as (session, inputs, models):
        pairs = [tf.trainable_variables(f"{name}/") for name in ("layers", "outside")]
        session.run([b.assign(a) for a, b in zip(*pairs, strict=True)])
        initial = averages.read(session, "outside")
        average = averages.MovingAverage.start(0.9, initial)
        batches = train.shuffled_batches(20, seed=1)
        for _ in range(3):
            X, y = next(batches)
            feed = {inputs.X: X, inputs.y: y, inputs.training: True}
            session.run([model.train for model in models], feed)
            average = average.updated(averages.read(session, "outside"))
        found = {
            "layers": averages.read(session, "layers"),
            "average": average,
            "kernels": [v.op.name for v in pairs[0] if v.op.name.endswith("kernel")],
        }
        weights = session.run(pairs[1])
        found["estimated"] = averages.estimate(
            session, inputs, "outside", [train.batch(slice(0, 100))]
        )
        found["moved"] = [
            np.abs(before - after).max()
            for before, after in zip(weights, session.run(pairs[1]), strict=True)
        ]
        averages.load(session, "outside", found["layers"])
        found["loaded"] = averages.read(session, "outside")
    return found


def test_an_average_outside_the_graph_is_what_the_layers_would_hold(trained):
    for ours, layers in zip(trained["average"].value, trained["layers"], strict=True):
        np.testing.assert_allclose(ours, layers, rtol=1e-5, atol=1e-6)


def test_the_initial_value_weighs_momentum_to_the_power_of_the_updates(trained):
    assert trained["average"].initial_weight == pytest.approx(0.9**3)


def test_a_debiased_average_holds_nothing_of_the_initial_value(trained):
    from bn_tb.training import averages

    average = trained["average"]
    mixed = averages.mixture(average.initial, average.debiased, 0.9**3)
    for value, ours in zip(mixed, average.value, strict=True):
        np.testing.assert_allclose(value, ours, rtol=1e-5, atol=1e-6)


def test_an_average_of_no_batches_cannot_be_debiased():
    pytest.importorskip("bn_tb.training.tf1", reason="tensorflow is not installed")
    from bn_tb.training import averages

    with pytest.raises(ValueError, match="of no batches"):
        _ = averages.MovingAverage.start(0.9, [np.zeros(2)]).debiased


def test_estimating_statistics_changes_them_and_no_weight(trained):
    assert max(trained["moved"]) == 0
    assert not np.allclose(trained["estimated"][1], 1)


def test_loaded_statistics_are_the_layers_own(trained):
    for loaded, given in zip(trained["loaded"], trained["layers"], strict=True):
        np.testing.assert_array_equal(loaded, given)


def test_a_dense_net_has_its_hidden_layers_and_one_more(trained):
    assert trained["kernels"] == [
        "layers/dense0/dense/kernel",
        "layers/dense1/dense/kernel",
        "layers/dense/kernel",
    ]


# --- the page ---------------------------------------------------------------------------------


def test_the_page_shows_pictures_that_exist_and_are_small():
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(shown) == 6
    for name in shown:
        assert (PAGE.parent / name).stat().st_size < 200_000, name


def test_the_page_shows_what_show_scopes_prints():
    pytest.importorskip("bn_tb.training.tf1", reason="tensorflow is not installed")
    printed = run_script("show_scopes").stdout
    assert printed.startswith(">>> tf.get_collection")
    assert printed in PAGE.read_text(encoding="utf-8")


# --- the scripts ------------------------------------------------------------------------------


def run_script(name, *flags):
    return subprocess.run(
        [sys.executable, SCRIPTS / f"{name}.py", *flags],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS.parent)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def study(name, logdir, *flags):
    pytest.importorskip("matplotlib", reason="pip install '.[study]'")
    pytest.importorskip("bn_tb.training.tf1", reason="tensorflow is not installed")
    return run_script(f"study_{name}", f"--logdir={logdir}", *flags)


SHORT = ("--quick", "--images=60")
SHORT_EPOCHS = (*SHORT, "--epochs=1", "--steps_per_epoch=2")


@pytest.mark.parametrize(
    ("name", "flags", "tables", "drawn"),
    [
        ("control_deps", SHORT_EPOCHS, ["results"], ["control_deps"]),
        ("early_training", SHORT_EPOCHS, ["results"], ["early_training"]),
        (
            "momentum",
            (*SHORT, "--steps=4"),
            ["mixtures", "results"],
            ["momentum_recovery", "momentum_tolerance"],
        ),
        (
            "snn",
            (*SHORT_EPOCHS, "--depths=2", "--width=4"),
            ["activations", "losses", "results"],
            ["snn_activations", "snn_losses"],
        ),
    ],
    ids=["control_deps", "early_training", "momentum", "snn"],
)
def test_a_study_writes_its_tables_and_pictures_and_does_not_train_twice(
    name, flags, tables, drawn, tmp_path
):
    first = study(name, tmp_path, *flags)
    assert first.returncode == 0, first.stderr
    assert "|---|" in first.stdout
    for table in tables:
        with (tmp_path / f"{table}.csv").open() as file:
            assert len(list(csv.DictReader(file))) > 1
    for picture in drawn:
        assert (tmp_path / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    second = study(name, tmp_path, *flags)
    assert second.returncode == 0, second.stderr
    assert "[1/1]" not in second.stdout
    assert second.stdout.splitlines()[-3:] == first.stdout.splitlines()[-3:]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds=0"], "seeds"),
        (["surplus"], "unexpected argument 'surplus'"),
        (["--data_dir=nowhere"], "nowhere/train-images-idx3-ubyte: no such file"),
    ],
    ids=["a count of 0", "an argument that is no flag", "a data folder that is missing"],
)
def test_a_study_refuses_bad_input_in_one_line(flags, message, tmp_path):
    refused = study("early_training", tmp_path, *flags)
    assert refused.returncode != 0
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
