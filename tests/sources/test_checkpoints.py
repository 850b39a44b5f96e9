"""Which checkpoints are points of one training, and which are models of their own."""

import os

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


def test_updates_count_from_a_checkpoint_that_was_saved_before_the_training(tmp_path):
    for epoch in range(3):
        write(tmp_path / f"epoch_{epoch}.safetensors", 100 * epoch, [epoch, 1])
    assert layers(tmp_path) == {"bn": [0, 100, 200]}


@pytest.mark.parametrize("name", ["ckpt.tar", "epoch_3.tar", "net.pth.tar", "model.tar"])
def test_the_names_of_pytorch_s_tutorials_are_found(name, tmp_path):
    write(tmp_path / name, 500, [1, 1])
    assert layers(tmp_path) == {"bn": [500]}


def test_an_archive_that_is_no_model_is_no_run(tmp_path):
    (tmp_path / "data.tar").write_bytes(bytes(1024))
    assert not list(bn_tb.read_logdir(tmp_path))


@pytest.mark.parametrize("count", [1, 4])
def test_a_copy_of_a_checkpoint_is_no_point_of_its_own(tmp_path, count):
    for epoch in range(1, count + 1):
        write(tmp_path / f"epoch_{epoch}.safetensors", 100 * epoch, [epoch, 1])
    alone = bn_tb.diagnose(tmp_path)
    (tmp_path / "best.safetensors").write_bytes((tmp_path / "epoch_1.safetensors").read_bytes())
    (run,) = bn_tb.read_logdir(tmp_path)
    assert layers(tmp_path) == {"bn": [100 * epoch for epoch in range(1, count + 1)]}
    assert [one.step for one in run.checkpoints].count(100) == 2
    assert bn_tb.diagnose(tmp_path).verdict == alone.verdict


def test_folders_named_after_steps_are_points_of_one_curve(tmp_path):
    for step in (500, 1000):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        values = {
            name: ("F32", np.float32([step, 1])) for name in ("bn.running_mean", "bn.running_var")
        }
        (folder / "model.safetensors").write_bytes(cb.safetensors(values))
    assert layers(tmp_path) == {"bn": [500, 1000]}


def test_counters_that_stand_while_weights_go_on_are_no_clock(tmp_path):
    for epoch in range(1, 7):
        values = {
            "bn.running_mean": ("F32", np.float32([min(epoch, 3), 1])),
            "bn.running_var": ("F32", np.float32([2, 3])),
            "bn.num_batches_tracked": ("I64", np.int64(100 * min(epoch, 3))),
            "fc.weight": ("F32", np.float32([epoch])),
        }
        (tmp_path / f"epoch_{epoch}.safetensors").write_bytes(cb.safetensors(values))
    assert layers(tmp_path) == {"bn": [1, 2, 3, 4, 5, 6]}
    codes = [finding.code for finding in bn_tb.diagnose(tmp_path).findings]
    assert "BN103" in codes


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


def test_models_of_one_shape_side_by_side_stay_apart(tmp_path):
    for epoch in (10, 20):
        write(tmp_path / f"{epoch}_net_G_A.safetensors", 7 * epoch, [epoch, 1])
        write(tmp_path / f"{epoch}_net_G_B.safetensors", 5 * epoch, [epoch, 2])
    found = layers(tmp_path)
    assert sorted(found.values()) == [[50, 100], [70, 140]]
    assert all(name.endswith(("G_A/bn", "G_B/bn")) for name in found)


def test_the_best_and_the_last_of_a_training_are_one_curve(tmp_path):
    write(tmp_path / "resnet18_best.safetensors", 300, [3, 1])
    write(tmp_path / "resnet18_last.safetensors", 500, [5, 1])
    assert layers(tmp_path) == {"bn": [300, 500]}


def cut(folder, names):
    """Writes one model cut into two files, as Hugging Face's libraries do."""
    values = {
        "bn.running_mean": ("F32", np.float32([1, 2])),
        "bn.running_var": ("F32", np.float32([3, 4])),
    }
    for at, (name, value) in enumerate(values.items(), 1):
        if at in names:
            path = folder / f"model-{at:05d}-of-00002.safetensors"
            path.write_bytes(cb.safetensors({name: value}))
    (folder / "model.safetensors.index.json").write_text("{}")


def test_a_model_cut_into_files_is_one_checkpoint(tmp_path):
    cut(tmp_path, (1, 2))
    (run,) = bn_tb.read_logdir(tmp_path)
    assert set(run.histograms) == {"bn.running_mean", "bn.running_var"}
    assert [one.name for one in run.checkpoints] == ["model.safetensors"]


def test_parts_that_are_missing_are_told(tmp_path):
    cut(tmp_path, (1,))
    (run,) = bn_tb.read_logdir(tmp_path)
    assert [file.detail for file in run.files] == ["1 of its parts is missing: copy it too"]


@pytest.mark.parametrize("part", [".data-00000-of-00001", ".meta"])
def test_a_checkpoint_without_its_index_is_told(part, tmp_path):
    (tmp_path / f"model.ckpt-7{part}").write_bytes(bytes(16))
    (run,) = bn_tb.read_logdir(tmp_path)
    assert [(file.status, file.path[-12:]) for file in run.files] == [("corrupt", "model.ckpt-7")]
    assert "copy the .index file too" in run.files[0].detail


def test_a_part_that_was_left_behind_is_not_told_beside_a_checkpoint(tmp_path):
    (tmp_path / "model.ckpt-7.data-00000-of-00001").write_bytes(bytes(16))
    write(tmp_path / "net_8.safetensors", 8, [1, 1])
    (run,) = bn_tb.read_logdir(tmp_path)
    assert [file.status for file in run.files] == ["ok"]


def test_numbered_trainings_stay_apart(tmp_path):
    for fold in (1, 2):
        for epoch in (1, 2):
            path = tmp_path / f"fold{fold}_epoch{epoch}.safetensors"
            write(path, 100 * epoch + fold, [fold, epoch])
    assert layers(tmp_path) == {"fold1/bn": [101, 201], "fold2/bn": [102, 202]}


@pytest.mark.parametrize("name", ["m.h5", "my_vgg.hdf5", "resnet.tar"])
def test_a_model_of_any_name_is_judged_where_there_is_nothing_else(tmp_path, name):
    write(tmp_path / name, 500, [1, 1])
    assert layers(tmp_path) == {"bn": [500]}


@pytest.mark.parametrize("name", ["resnet50_cifar", "x.weights"])
def test_a_checkpoint_of_any_name_is_judged_where_its_path_is_given(tmp_path, name):
    write(tmp_path / name, 500, [1, 1])
    assert layers(tmp_path / name) == {"bn": [500]}
    assert not list(bn_tb.read_logdir(tmp_path))


def test_data_beside_a_model_are_no_run_of_their_own(tmp_path):
    for folder, name in (("a", "model.safetensors"), ("b", "data.h5")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, 500, [1, 1])
    assert [run.name for run in bn_tb.read_logdir(tmp_path)] == ["a"]


def test_a_damaged_model_whose_path_is_given_is_told_as_one(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n\x1a")
    (run,) = bn_tb.read_logdir(tmp_path / "m.h5")
    assert [(file.kind, file.status) for file in run.files] == [("checkpoint", "corrupt")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_whose_path_is_given_is_told_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model")
    (run,) = bn_tb.read_logdir(tmp_path / "model")
    assert "pipe" in run.files[0].detail
