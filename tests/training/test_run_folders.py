"""Two trainings never share a run folder."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("filelock")  # the extra `train`

from bn_tb.errors import UsageError
from bn_tb.training.run_folders import claim_run_folders
from tests.places import ROOT


def claim(logdir, overwrite=False):
    with claim_run_folders(logdir, "BN", overwrite):
        pass


def test_folders_are_made_for_training_and_test(tmp_path):
    with claim_run_folders(tmp_path / "new", "BN", overwrite=False) as folders:
        assert folders.train == tmp_path / "new/BN/train"
        assert folders.test == tmp_path / "new/BN/test"
        assert folders.train.is_dir() and folders.test.is_dir()


def test_empty_folders_and_other_models_are_no_obstacle(tmp_path):
    (tmp_path / "BN/test").mkdir(parents=True)
    (tmp_path / "NoCD/train").mkdir(parents=True)
    (tmp_path / "NoCD/train/events.out.tfevents.1").touch()
    claim(tmp_path)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_folder_with_an_earlier_run_is_refused(tmp_path, part):
    (tmp_path / "BN" / part).mkdir(parents=True)
    (tmp_path / "BN" / part / "events.out.tfevents.1").touch()
    with pytest.raises(UsageError, match=f"BN/{part}: holds an earlier run.*--overwrite"):
        claim(tmp_path)


def test_overwrite_deletes_event_files_and_checkpoints_and_nothing_else(tmp_path):
    folder = tmp_path / "BN/train"
    folder.mkdir(parents=True)
    for name in ("events.out.tfevents.1", "checkpoint", "model.ckpt-50.index"):
        (folder / name).touch()
    kept = ["best.ckpt-50.index", "model.ckpt", "thesis.tex"]
    for name in kept:
        (folder / name).touch()
    claim(tmp_path, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == kept


def test_a_file_in_the_way_is_one_clear_line(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(UsageError, match="logs/BN/train: cannot be a run folder: Not a directory"):
        claim(tmp_path / "logs")


@pytest.mark.parametrize("overwrite", [False, True])
def test_one_of_those_who_claim_a_folder_at_once_gets_it(tmp_path, overwrite):
    with claim_run_folders(tmp_path, "BN", overwrite):
        with pytest.raises(UsageError, match="BN: another training writes there now"):
            claim(tmp_path, overwrite)
        with claim_run_folders(tmp_path, "NoCD", overwrite):
            pass
    claim(tmp_path, overwrite)


PROCESS = """
import pathlib, sys, time
from bn_tb.training.run_folders import claim_run_folders
sys.stdin.readline()
try:
    with claim_run_folders(pathlib.Path(sys.argv[1]), "BN", overwrite=False) as folders:
        print("won", flush=True)
        sys.stdin.readline()
except Exception as error:
    print(error, flush=True)
"""


def test_of_processes_that_start_at_once_exactly_one_trains(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(4)
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.stdout.readline().strip() for process in started]
    for process in started:
        process.communicate("end\n")
    assert said.count("won") == 1
    assert sum("another training writes there now" in line for line in said) == 3
