"""Two trainings never share a run folder."""

import pytest

from bn_tb.errors import UsageError
from bn_tb.training.run_folders import claim_run_folders


def test_folders_are_made_for_training_and_test(tmp_path):
    folders = claim_run_folders(tmp_path / "new", "BN", overwrite=False)
    assert folders.train == tmp_path / "new/BN/train"
    assert folders.test == tmp_path / "new/BN/test"
    assert folders.train.is_dir() and folders.test.is_dir()


def test_empty_folders_and_other_models_are_no_obstacle(tmp_path):
    (tmp_path / "BN/test").mkdir(parents=True)
    (tmp_path / "NoCD/train").mkdir(parents=True)
    (tmp_path / "NoCD/train/events.out.tfevents.1").touch()
    claim_run_folders(tmp_path, "BN", overwrite=False)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_folder_with_an_earlier_run_is_refused(tmp_path, part):
    (tmp_path / "BN" / part).mkdir(parents=True)
    (tmp_path / "BN" / part / "events.out.tfevents.1").touch()
    with pytest.raises(UsageError, match=f"BN/{part}: holds an earlier run.*--overwrite"):
        claim_run_folders(tmp_path, "BN", overwrite=False)


def test_overwrite_deletes_event_files_and_nothing_else(tmp_path):
    folder = tmp_path / "BN/train"
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1").touch()
    (folder / "thesis.tex").touch()
    claim_run_folders(tmp_path, "BN", overwrite=True)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_one_clear_line(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(UsageError, match="logs/BN/train: cannot be a run folder: Not a directory"):
        claim_run_folders(tmp_path / "logs", "BN", overwrite=False)
