"""Hyperparameters in names, and those that runs lend each other."""

import pytest

from bn_tb.runs.hyperparameters import of_name, spread, text_of


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lr=0.1,momentum=0.99/version_0", {"lr": 0.1, "momentum": 0.99}),
        ("bs=32_lr=1e-3", {"bs": 32, "lr": 1e-3}),
        ("batch_size=32-act=relu-wd=0", {"batch_size": 32, "act": "relu", "wd": 0}),
        ("opt.lr=0.1;fused=True/train", {"opt.lr": 0.1, "fused": True}),
        (
            "train_fn_1a2b3_00003_3_lr=0.1,m=0.9_2024-01-31_12-00-00/checkpoint",
            {"lr": 0.1, "m": 0.9},
        ),
        ("a=b=c", {"a": "b", "": "c"} and {"a": "b"}),
        ("resnet50/train", {}),
        ("=1/x=", {"x": ""}),
        ("lr=nan", {"lr": "nan"}),
    ],
)
def test_key_value_pairs_of_a_name(name, values):
    found = of_name(name)
    assert {key: text_of(value) for key, value in found.items()} == {
        key: text_of(value) for key, value in values.items()
    }


def test_a_run_has_what_the_folders_above_it_have():
    own = {".": {"seed": 1}, "x": {"lr": 0.1}, "x/train": {}, "xy": {}}
    assert spread(own)["x/train"] == {"seed": 1, "lr": 0.1}
    assert spread(own)["xy"] == {"seed": 1}


def test_what_is_a_runs_own_goes_first():
    assert spread({"x": {"lr": 0.1}, "x/lr=0.2": {"lr": 0.2}})["x/lr=0.2"] == {"lr": 0.2}


def test_pytorchs_run_of_hyperparameters_lends_them_to_the_run_it_is_in():
    """SummaryWriter.add_hparams writes them into a folder that is named by the time."""
    own = {"x": {}, "x/1700000000.25": {"lr": 0.1}, "x/train": {}, "y": {}}
    assert [spread(own)[run] for run in ("x", "x/train", "y")] == [{"lr": 0.1}, {"lr": 0.1}, {}]
