"""A run that tells nothing of its model is unknown, and its reader learns how to have it judged."""

import pytest

from bn_tb.diagnosis import diagnose
from bn_tb.runs.run import FileReport
from tests.builders.synthetic import run, scalar

KERAS = "bn_tb.monitor.keras"
TORCH = "bn_tb.monitor.pytorch"
WRITERS = [
    ("train/events.out.tfevents.1.host.7.0.v2", "epoch_loss", KERAS),
    ("events.out.tfevents.1.host.7.0.v2", "loss", KERAS),
    ("events.out.tfevents.1.host.7.0", "Loss/train", TORCH),
    ("events.out.tfevents.1.host.7.0", "epoch_loss", TORCH),
    ("events.out.tfevents.1.host", "val_acc", KERAS),
    ("events.out.tfevents.1.host", "global_step/sec", "bn_tb.monitor.tf1"),
    ("lightning_logs/version_3/events.out.tfevents.1.host.7.0", "loss", "bn_tb.monitor.lightning"),
    ("events.out.tfevents.1.host.7.0", "hp_metric", "bn_tb.monitor.lightning"),
]


def _diagnosis(path: str, tag: str):
    files = (FileReport(path, 100, 3, "ok"),)
    (judged,) = diagnose([run(None, {tag: scalar([1, 2, 3], [3, 2, 1])}, files=files)])
    return judged


@pytest.mark.parametrize(("path", "tag", "monitor"), WRITERS)
def test_scalars_alone_are_unknown_and_get_the_monitor_of_their_framework(path, tag, monitor):
    judged = _diagnosis(path, tag)
    assert judged.verdict == "unknown"
    assert f"from {monitor} import" in judged.remark


def test_a_run_of_no_known_framework_gets_the_code_of_all():
    remark = _diagnosis("events.out.tfevents.1.host", "loss").remark
    for code in ("named_buffers()", "histogram_freq=1", "tf.global_variables()"):
        assert code in remark
