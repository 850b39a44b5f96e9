"""What we read equals what TensorBoard reads: files of other people and of every real writer."""

import collections
import pathlib
import re

import numpy as np
import pytest

from bn_tb.runs.tags import TagPatterns
from bn_tb.sources.logdir import find_runs, read_logdir
from tests.places import SHARED

CORPUS = SHARED / "corpus"
Scalar = collections.namedtuple("Scalar", ["wall_time", "step", "value"])
EVERYTHING = TagPatterns(mean=(re.compile(""),))


def tensorboard_series(folder: str):
    """Scalars and histograms of TensorBoard's reader, by tag: steps, wall times, values."""
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    everything = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
    accumulator = event_accumulator.EventAccumulator(folder, everything)
    accumulator.Reload()
    scalars = {tag: accumulator.Scalars(tag) for tag in accumulator.Tags()["scalars"]}
    histograms = {tag: accumulator.Histograms(tag) for tag in accumulator.Tags()["histograms"]}
    tables = {}
    for tag in accumulator.Tags()["tensors"]:
        plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
        points = [
            (point.step, point.wall_time, tensor_util.make_ndarray(point.tensor_proto))
            for point in accumulator.Tensors(tag)
        ]
        if plugin == "scalars":
            scalars[tag] = [Scalar(wall, step, value.item()) for step, wall, value in points]
        elif plugin == "histograms":
            tables[tag] = points
    return scalars, histograms, tables


def assert_equal_to_tensorboard(logdir: pathlib.Path) -> int:
    """Compares every run and returns the number of points compared."""
    compared = 0
    folders = {run.name: pathlib.Path(run.files[0].path).parent for run in find_runs(logdir)}
    for run in read_logdir(logdir, EVERYTHING):
        scalars, histograms, tables = tensorboard_series(str(folders[run.name]))
        assert set(run.scalars) == set(scalars)
        assert set(run.histograms) == set(scalars) | set(histograms) | set(tables)
        for tag, points in scalars.items():
            ours = run.scalars[tag]
            np.testing.assert_array_equal(ours.steps, [point.step for point in points])
            np.testing.assert_array_equal(ours.wall_times, [point.wall_time for point in points])
            np.testing.assert_array_equal(ours.values, [point.value for point in points])
            compared += len(points)
        for tag, points in histograms.items():
            assert_equal_protos(run.histograms[tag], points)
            compared += len(points)
        for tag, points in tables.items():
            assert_equal_tables(run.histograms[tag], points)
            compared += len(points)
    return compared


def assert_equal_protos(ours, points):
    from tensorboard.plugins.distribution import compressor

    np.testing.assert_array_equal(ours.steps, [point.step for point in points])
    np.testing.assert_array_equal(ours.wall_times, [point.wall_time for point in points])
    values = [point.histogram_value for point in points]
    for attribute, name in (("count", "num"), ("total", "sum"), ("sum_squares", "sum_squares")):
        np.testing.assert_array_equal(getattr(ours, attribute), [getattr(v, name) for v in values])
    for index, value in enumerate(values):
        same = [other == value for other in values]
        np.testing.assert_array_equal(ours.identity == ours.identity[index], same)
        if value.num and np.isfinite(value.sum):
            assert (ours.minimum[index], ours.maximum[index]) == (value.min, value.max)
            bands = [band for _, band in compressor.compress_histogram_proto(value)]
            scale = max(abs(value.min), abs(value.max), 1e-30)
            np.testing.assert_allclose(ours.bands[index], bands, atol=1e-5 * scale, rtol=1e-5)


def assert_equal_tables(ours, points):
    np.testing.assert_array_equal(ours.steps, [step for step, _, _ in points])
    np.testing.assert_array_equal(ours.wall_times, [wall for _, wall, _ in points])
    tables = [table.astype(np.float64).reshape(-1, 3) for _, _, table in points]
    for index, table in enumerate(tables):
        same = [other.tobytes() == table.tobytes() for other in tables]
        np.testing.assert_array_equal(ours.identity == ours.identity[index], same)
        filled = table[table[:, 2] > 0]
        assert ours.count[index] == table[:, 2].sum()
        if len(filled):
            assert (ours.minimum[index], ours.maximum[index]) == (filled[0, 0], filled[-1, 1])
            total = (filled[:, 2] * filled[:, :2].mean(axis=1)).sum()
            np.testing.assert_allclose(ours.total[index], total, rtol=1e-12, atol=1e-12)


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
