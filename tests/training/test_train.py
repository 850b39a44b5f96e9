"""bn_tb.train as people run it: a process, its output, and what TensorBoard reads afterwards."""

import re
import signal
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import api_pb2, metadata

from tests.places import unmeasured

COMMAND = [sys.executable, "-m", "bn_tb.train"]
STATISTICS = [
    f"BN/conv{block}/batch_normalization/moving_{statistic}"
    for block in range(3)
    for statistic in ("mean", "variance")
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run of the default experiment: its folder, and the finished process."""
    logdir = tmp_path_factory.mktemp("logs")
    flags = ["--epochs=2", "--steps_per_epoch=6", "--batch_size=20", f"--logdir={logdir}"]
    done = subprocess.run([*COMMAND, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return logdir, done


@pytest.fixture(scope="module")
def training(trained):
    """What TensorBoard reads from the training run."""
    return read(trained[0] / "BN/train")


def read(run):
    accumulator = EventAccumulator(str(run), size_guidance={"histograms": 0, "scalars": 0})
    return accumulator.Reload()


def test_standard_output_is_a_line_an_epoch_and_the_next_commands(trained):
    logdir, done = trained
    metrics = r"acc: \d+\.\d\d%, loss: \d+\.\d{3}"
    lines = done.stdout.splitlines()
    for epoch, line in enumerate(lines[:2], start=1):
        assert re.fullmatch(rf"\[{epoch}/2\] \(train\) {metrics} \| \(test\) {metrics}", line)
    assert lines[2] == ""
    assert lines[3].endswith(f"python -m bn_tb.analyze {logdir}")
    assert lines[4].endswith(f"tensorboard --logdir {logdir}")
    assert len(lines) == 5


def test_nothing_of_tensorflows_noise_reaches_the_terminal(trained):
    assert trained[1].stderr == "bn_tb: starting TensorFlow ...\nbn_tb: step 1 of 12\n"


def test_every_step_has_scalars_and_histograms_with_the_variables_names(training):
    assert sorted(training.Tags()["histograms"]) == STATISTICS
    for tag in STATISTICS:
        assert [event.step for event in training.Histograms(tag)] == list(range(1, 13))
    for tag in ("accuracy", "loss"):
        assert [event.step for event in training.Scalars(tag)] == list(range(1, 13))


def test_the_first_histogram_is_of_the_statistics_after_the_first_step(training):
    """After one update with momentum 0.99, a variance is 0.99 and 0.01 of the batch's."""
    for tag in STATISTICS:
        first = training.Histograms(tag)[0].histogram_value
        if tag.endswith("variance"):
            assert first.min >= 0.99
            assert first.max > 0.99
        else:
            assert first.min < 0 < first.max


def test_the_test_set_is_measured_at_the_end_of_each_epoch(trained):
    test = read(trained[0] / "BN/test")
    for tag in ("accuracy", "loss"):
        assert [event.step for event in test.Scalars(tag)] == [6, 12]
    assert test.Tags()["histograms"] == []


def test_graph_and_metagraph_with_its_update_ops_are_recorded(training):
    names = {node.name for node in training.Graph().node}
    assert {"X", "y", "training", "BN/train/Adam"} <= names
    assert all(name.split("/")[0] in ("X", "y", "training", "BN") for name in names)
    meta_graph = training.MetaGraph()
    update_ops = meta_graph.collection_def["update_ops"].node_list.value
    assert len(update_ops) == len(STATISTICS)
    assert set(update_ops) <= names
    assert meta_graph.collection_def["train_op"].node_list.value == ["BN/train/Adam"]


def test_the_graph_has_no_function_that_tensorboard_would_draw_beside_it(training):
    assert list(training.Graph().library.function) == []


def test_hyperparameters_are_recorded_for_the_hparams_tab(trained):
    (path,) = (trained[0] / "BN/test").glob("*tfevents*")
    values = {
        value.tag: value.metadata.plugin_data.content
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag.startswith("_hparams_")
    }
    start = metadata.parse_session_start_info_plugin_data(values[metadata.SESSION_START_INFO_TAG])
    assert start.hparams["wiring"].string_value == "control_deps"
    assert start.hparams["momentum"].number_value == 0.99
    assert set(start.hparams).isdisjoint({"logdir", "name", "histogram_every"})
    # With it, the tab would show the first five hyperparameters by name, and neither of these two.
    assert metadata.EXPERIMENT_TAG not in values
    end = metadata.parse_session_end_info_plugin_data(values[metadata.SESSION_END_INFO_TAG])
    assert end.status == api_pb2.STATUS_SUCCESS


def test_an_earlier_run_is_refused_before_tensorflow_is_imported(trained):
    flags = [f"--logdir={trained[0]}"]
    done = subprocess.run([*COMMAND, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"bn_tb: .*BN/train: holds an earlier run.*--overwrite.*\n", done.stderr)


def test_ctrl_c_leaves_readable_event_files(tmp_path):
    flags = ["--nobatch_norm", "--steps_per_epoch=2", f"--logdir={tmp_path}"]
    with subprocess.Popen(
        [*COMMAND, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=unmeasured(),  # a signal inside the tracer of coverage is lost, or ends the process
        # A shell that runs the tests in the background makes them ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout.readline().startswith("[1/10]")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.endswith("bn_tb: interrupted; the event files hold every step so far\n")
    assert "Traceback" not in errors
    steps = [event.step for event in read(tmp_path / "vanilla/train").Scalars("loss")]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 2
