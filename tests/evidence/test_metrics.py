"""Which scalars measure a network, and on which data."""

import numpy as np
import pytest

from bn_tb.evidence.metrics import metrics_of, phase_of
from bn_tb.runs.run import Run
from bn_tb.runs.series import ScalarSeries
from bn_tb.runs.tags import LONGEST_NAME


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


def test_a_tag_longer_than_any_name_is_no_metric():
    series = ScalarSeries(np.arange(3), np.arange(3.0), np.ones(3))
    tags = [size * "a/" + "val_loss" for size in (1, LONGEST_NAME // 2)]
    run = Run("run", "logdir", (), scalars=dict.fromkeys(tags, series), histograms={})
    assert [metric.tag for metric in metrics_of(run)] == ["a/val_loss"]
