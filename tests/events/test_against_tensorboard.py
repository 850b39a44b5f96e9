"""What we read equals what TensorBoard reads: files of other people and of every real writer."""

import numpy as np
import pytest

from bn_tb.sources.logdir import read_logdir
from tests.builders import drawn_writers
from tests.builders import event_bytes as eb
from tests.builders.against_tensorboard import assert_equal_to_tensorboard
from tests.builders.odd_events import Odd
from tests.places import SHARED

CORPUS = SHARED / "corpus"


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of other people's files is not here")
@pytest.mark.parametrize(
    "name",
    sorted(path.name for path in CORPUS.iterdir() if path.is_dir()) if CORPUS.exists() else [],
)
def test_series_of_other_peoples_files_equal_tensorboards(name):
    compared = assert_equal_to_tensorboard(CORPUS / name)
    if name[:2] not in ("26", "33", "45"):  # graphs only, or damaged from the first record on
        assert compared > 0


def values_at(step: int) -> np.ndarray:
    return np.random.default_rng(step).normal(step, 1 + step, 64).astype(np.float32)


def test_series_of_tf1_filewriter_equal_tensorboards(tmp_path):
    tf = pytest.importorskip("tensorflow").compat.v1
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        value = tf.placeholder(tf.float32, [64])
        merged = tf.summary.merge(
            [tf.summary.histogram("bn/moving_mean", value), tf.summary.scalar("loss", value[0])]
        )
        constant = tf.summary.histogram("bn/moving_variance", tf.ones([64]))
        writer = tf.summary.FileWriter(str(tmp_path), graph)
        writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), 0)
        for step in range(20):
            writer.add_summary(session.run(merged, {value: values_at(step)}), step)
            writer.add_summary(session.run(constant), step)
        writer.close()
    assert assert_equal_to_tensorboard(tmp_path) == 60
    (run,) = read_logdir(tmp_path)
    variance = run.histograms["bn/moving_variance"]
    assert set(variance.minimum) == set(variance.maximum) == {1.0}
    assert set(variance.total) == set(variance.sum_squares) == {64.0}
    assert len(set(variance.identity.tolist())) == 1
    assert [graph.kind for graph in run.graphs] == ["graph_def", "meta_graph_def"]
    assert len(run.sessions) == 1


def test_series_of_tf2_summaries_equal_tensorboards(tmp_path):
    tf = pytest.importorskip("tensorflow")
    with tf.summary.create_file_writer(str(tmp_path / "train")).as_default():
        for step in range(20):
            tf.summary.histogram("bn/moving_mean", values_at(step), step=step)
            tf.summary.histogram("bn/moving_variance", tf.fill([64], 0.3), step=step)
            tf.summary.histogram("empty/moving_mean", tf.zeros([0]), step=step)
            tf.summary.scalar("loss", values_at(step)[0], step=step)
    assert assert_equal_to_tensorboard(tmp_path) == 80
    (run,) = read_logdir(tmp_path)
    variance = run.histograms["bn/moving_variance"]
    third = float(np.float32(0.3))
    assert set(variance.minimum) == set(variance.maximum) == {third}
    assert set(variance.total) == {64 * third}
    empty = run.histograms["empty/moving_mean"]
    assert np.isnan(empty.minimum).all() and empty.finite.all() and not empty.count.any()


@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_series_of_keras_callbacks_equal_tensorboards(framework, tmp_path):
    pytest.importorskip("tensorflow")
    keras = pytest.importorskip(framework)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    inputs, targets = np.random.default_rng(0).normal(size=(32, 3)), np.zeros((32, 1))
    callback = keras.callbacks.TensorBoard(str(tmp_path), histogram_freq=1, update_freq=1)
    model.fit(inputs, targets, 8, 3, 0, [callback], validation_data=(inputs, targets))
    assert assert_equal_to_tensorboard(tmp_path) > 30
    train, validation = sorted(read_logdir(tmp_path), key=lambda run: run.name)
    assert (train.name, validation.name) == ("train", "validation")
    assert any("moving_mean" in tag for tag in train.histograms)


@pytest.mark.parametrize("module", ["torch.utils.tensorboard", "tensorboardX"])
def test_series_of_pytorch_writers_equal_tensorboards(module, tmp_path):
    writers = pytest.importorskip(module)
    with writers.SummaryWriter(str(tmp_path)) as writer:
        for step in range(20):
            writer.add_histogram("bn.running_mean", values_at(step), step)
            writer.add_histogram("bn.running_var", np.ones(64, np.float32), step)
            writer.add_scalar("loss", values_at(step)[0], step)
            writer.add_scalar("bn.num_batches_tracked", step, step)
    assert assert_equal_to_tensorboard(tmp_path) == 80
    (run,) = read_logdir(tmp_path)
    variance = run.histograms["bn.running_var"]
    assert set(variance.minimum) == set(variance.maximum) == {1.0}
    assert len(set(variance.identity.tolist())) == 1


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_seen_in_every_writers_histograms(poison, tmp_path):
    tf = pytest.importorskip("tensorflow")
    tensorboard_x = pytest.importorskip("tensorboardX")
    values = np.array([0.5, poison, 1.0, 2.0], np.float32)
    with tf.summary.create_file_writer(str(tmp_path / "tf2")).as_default():
        tf.summary.histogram("bn/moving_mean", values[[0, 2]], step=0)
        tf.summary.histogram("bn/moving_mean", values, step=1)
    with tensorboard_x.SummaryWriter(str(tmp_path / "x")) as writer:
        writer.add_histogram("bn/moving_mean", values[[0, 2]], 0)
        writer.add_histogram("bn/moving_mean", values, 1)
    for run in read_logdir(tmp_path):
        series = run.histograms["bn/moving_mean"]
        assert series.finite.tolist() == [True, False], run.name


@pytest.mark.parametrize("seed", range(25))
def test_valid_files_in_odd_forms_are_read_as_tensorboard_does(seed, tmp_path):
    """A longer run: python tests/fuzz_targets.py series -max_total_time=600."""
    eb.write(tmp_path, Odd(seed).file())
    assert assert_equal_to_tensorboard(tmp_path) > 50
    (run,) = read_logdir(tmp_path)
    assert run.files[0].status == "ok"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("writer", drawn_writers.WRITERS)
@pytest.mark.filterwarnings("ignore:(invalid|overflow):RuntimeWarning")
def test_whatever_a_frameworks_writer_logs_is_read_as_tensorboard_does(writer, seed, tmp_path):
    pytest.importorskip(drawn_writers.FRAMEWORKS.get(writer, writer))
    drawn_writers.Drawn(seed).write(tmp_path, writer)
    assert assert_equal_to_tensorboard(tmp_path) > 0
    (run,) = read_logdir(tmp_path)
    assert {file.status for file in run.files} == {"ok"}
