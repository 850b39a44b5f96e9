"""Which scalars measure a network, and on which data."""

import pytest

from bn_tb.evidence.metrics import phase_of


@pytest.mark.parametrize(
    ("run", "phase"),
    [
        ("train", "train"),
        ("NoCD/validation", "eval"),
        ("train/NoCD", "train"),
        ("stale_with_evaluation/train", "train"),
        ("train_v2/eval", "eval"),
        ("run1", ""),
        (".", ""),
    ],
)
def test_the_last_folder_that_tells_says_on_which_data_a_run_measures(run, phase):
    assert phase_of(run) == phase
