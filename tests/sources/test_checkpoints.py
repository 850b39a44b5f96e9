"""Which checkpoints are points of one training, and which are models of their own."""

import numpy as np
import pytest

import bn_tb
from tests.builders import checkpoint_bytes as cb


def write(path, updates, mean):
    """Writes a checkpoint of one layer, `bn`."""
    values = {
        "bn.running_mean": ("F32", np.float32(mean)),
        "bn.running_var": ("F32", np.float32([2, 3])),
        "bn.num_batches_tracked": ("I64", np.int64(updates)),
    }
    path.write_bytes(cb.safetensors(values))


def layers(folder):
    """Returns the steps of each layer that a folder of checkpoints shows, by its name."""
    (run,) = bn_tb.read_logdir(folder)
    return {
        tag.removesuffix(".running_mean"): series.steps.tolist()
        for tag, series in run.histograms.items()
        if tag.endswith("running_mean")
    }


@pytest.mark.parametrize(
    "name",
    ["model_{}", "model-{}", "net_epoch{}", "checkpoint_{}", "ckpt{:04d}", "epoch={}-step={}00"],
)
def test_numbered_files_of_one_training_are_one_curve(name, tmp_path):
    for epoch in (1, 2, 10):
        write(tmp_path / f"{name.format(epoch, epoch)}.safetensors", 100 * epoch, [epoch, 1])
    assert layers(tmp_path) == {"bn": [100, 200, 1000]}


def test_members_of_an_ensemble_are_models_of_their_own(tmp_path):
    for member in (1, 2, 3):
        write(tmp_path / f"model_{member}.safetensors", 500, [member, 1])
    assert layers(tmp_path) == {f"model_{member}/bn": [500] for member in (1, 2, 3)}


def test_a_copy_beside_its_original_is_a_model_of_its_own(tmp_path):
    write(tmp_path / "net.safetensors", 500, [1, 1])
    write(tmp_path / "net_ema.safetensors", 500, [2, 1])
    assert layers(tmp_path) == {"net/bn": [500], "net_ema/bn": [500]}


def test_frozen_statistics_are_one_curve_although_no_update_was_counted(tmp_path):
    for epoch in (1, 2, 3):
        write(tmp_path / f"net_{epoch}.safetensors", 500, [1, 1])
    assert layers(tmp_path) == {"bn": [1, 2, 3]}


def test_numbered_trainings_stay_apart(tmp_path):
    for fold in (1, 2):
        for epoch in (1, 2):
            path = tmp_path / f"fold{fold}_epoch{epoch}.safetensors"
            write(path, 100 * epoch + fold, [fold, epoch])
    assert layers(tmp_path) == {"fold1/bn": [101, 201], "fold2/bn": [102, 202]}
