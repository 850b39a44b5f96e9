"""Which runs are joined to one experiment, and which never are."""

import pytest

from bn_tb.runs.experiment import by_experiment, experiment_of
from bn_tb.runs.run import Run


@pytest.mark.parametrize(
    ("run", "experiment", "part"),
    [
        (".", ".", ""),
        ("eval", ".", "eval"),
        ("eval_test", ".", "eval_test"),
        ("NoCD/train", "NoCD", "train"),
        ("train/NoCD", "NoCD", "train"),
        ("test/NoCD", "NoCD", "test"),
        ("logs/train/NoCD", "logs/NoCD", "train"),
        ("a/validation", "a", "validation"),
        ("a/Val", "a", "Val"),
        ("a/rank0", "a", "rank0"),
        ("a/replica_3/train", "a", "replica_3/train"),
        ("a/ema", "a", "ema"),
        ("a/ema_model", "a", "ema_model"),
        ("a/swa/eval", "a", "swa/eval"),
        ("a/noema", "a/noema", ""),
        ("a/resnet_ema", "a/resnet_ema", ""),
        ("a/teacher", "a/teacher", ""),
        ("mnist_train", "mnist_*", "train"),
        ("mnist-test", "mnist-*", "test"),
        ("mnist", "mnist", ""),
        ("lightning_logs/version_0", "lightning_logs/version_0", ""),
        ("contest", "contest", ""),
        ("a/trainer", "a/trainer", ""),
        ("testing_lr_0.1", "testing_lr_0.1", ""),
        ("latest", "latest", ""),
    ],
)
def test_part_is_the_phase_or_replica_and_experiment_the_rest(run, experiment, part):
    assert experiment_of(run) == (experiment, part)


def test_neighbours_of_one_experiment_are_grouped_per_logdir():
    runs = [Run("a/test", "x"), Run("a/train", "x"), Run("b", "x"), Run("b", "y")]
    groups = [[(run.logdir, run.name) for run in group] for group in by_experiment(runs)]
    assert groups == [[("x", "a/test"), ("x", "a/train")], [("x", "b")], [("y", "b")]]
