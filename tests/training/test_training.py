"""The experiment inside one process: which wirings update, what the accuracies show, seeds."""

import contextlib
import functools
import pathlib

import numpy as np
import pytest

import bn_tb

tf1 = pytest.importorskip("bn_tb.training.tf1", reason="tensorflow and tf_keras are not installed")

from bn_tb.errors import UsageError  # noqa: E402
from bn_tb.training import data, experiment, loop, model, options, scopes, wiring  # noqa: E402
from bn_tb.training.checkpoints import Checkpoints  # noqa: E402
from bn_tb.training.run_folders import claim_run_folders  # noqa: E402

tf = tf1.tf


@pytest.fixture(scope="module")
def mnist():
    return data.read_mnist()


@contextlib.contextmanager
def new_graph():
    """A graph with a seed, which random initial values need."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def initialised_session():
    session = tf.Session()
    session.run([variable.initializer for variable in tf.global_variables()])
    return session


@pytest.fixture(scope="module")
def after_one_step(mnist):
    """Every wiring in one graph, each run for one step: {wiring: {variable name: value}}."""
    X, y = mnist.train.batch(slice(0, 8))
    with new_graph():
        inputs = model.placeholders()
        net = functools.partial(model.conv_net, recipe=model.Recipe(momentum=0.9))
        models = {
            name: model.build_model(f"BN_{name}", inputs, net, name, 0.001)
            for name in wiring.WIRINGS
        }
        with initialised_session() as session:
            for name, built in models.items():
                flag = options.Options(pathlib.Path(), wiring=name).training
                session.run(built.train, {inputs.X: X, inputs.y: y, inputs.training: flag})
            return {
                name: {
                    variable.op.name: session.run(variable)
                    for variable in scopes.scope_moving_statistics(built.scope)
                }
                for name, built in models.items()
            }


@pytest.mark.parametrize("name", ["control_deps", "group", "fetched"])
def test_wirings_that_work_update_every_statistic(after_one_step, name):
    assert len(after_one_step[name]) == 6
    for variable, values in after_one_step[name].items():
        assert np.all(values != (0 if variable.endswith("mean") else 1)), variable


@pytest.mark.parametrize("name", ["loss", "constructor", "inference", "none"])
def test_wirings_that_do_not_work_leave_means_exactly_0_and_variances_exactly_1(
    after_one_step, name
):
    assert len(after_one_step[name]) == 6
    for variable, values in after_one_step[name].items():
        assert np.all(values == (0 if variable.endswith("mean") else 1)), variable


def test_flags_and_tensorflow_know_the_same_wirings_and_activations():
    assert tuple(wiring.WIRINGS) == options.WIRINGS
    assert set(options.ACTIVATIONS) <= set(model.ACTIVATIONS)


@pytest.fixture
def two_scopes():
    """A graph in which one scope's name begins with the other's, and one holds a dot."""
    with new_graph():
        x = tf.placeholder(tf.float32, [None, 3])
        for scope in ("ReLU", "ReLU_BN", "a.b", "aXb"):
            with tf.variable_scope(scope):
                tf.layers.batch_normalization(x, training=True)
        yield


def test_a_scope_without_its_slash_also_collects_its_namesakes(two_scopes):
    key = tf.GraphKeys.UPDATE_OPS
    assert len(tf.get_collection(key, scope="ReLU")) == 4
    assert len(scopes.scope_collection(key, "ReLU")) == 2
    assert len(scopes.scope_collection(key, "ReLU/")) == 2
    assert len(scopes.scope_collection(key, "ReLU_BN")) == 2


def test_a_dot_in_a_scope_is_a_dot(two_scopes):
    names = [variable.op.name for variable in scopes.scope_variables("a.b")]
    assert names == [
        f"a.b/batch_normalization/{name}"
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    ]


def test_moving_statistics_are_listed_where_tensorflow_lists_none(two_scopes):
    assert tf.moving_average_variables() == []
    names = [variable.op.name for variable in scopes.scope_moving_statistics("ReLU")]
    assert names == [
        "ReLU/batch_normalization/moving_mean",
        "ReLU/batch_normalization/moving_variance",
    ]


def test_the_net_is_the_one_that_is_documented():
    with new_graph():
        inputs = model.placeholders()
        model.conv_net(inputs.X, inputs.training, model.Recipe(momentum=0.99))
        shapes = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
    assert shapes["conv0/conv2d/kernel"] == [3, 3, 1, 32]
    assert shapes["conv1/conv2d/kernel"] == [3, 3, 32, 64]
    assert shapes["conv2/conv2d/kernel"] == [3, 3, 64, 128]
    assert shapes["dense/kernel"] == [4 * 4 * 128, 10]
    assert [name for name in shapes if name.endswith("bias")] == ["dense/bias"]


def test_without_batch_norm_convolutions_have_a_bias():
    with new_graph():
        inputs = model.placeholders()
        model.conv_net(inputs.X, inputs.training, model.Recipe())
        names = {v.op.name for v in tf.global_variables()}
    assert "conv0/conv2d/bias" in names
    assert not [name for name in names if "batch_normalization" in name]


@pytest.fixture(scope="module")
def small(mnist):
    """The training images, and few enough test images for an evaluation in no time."""
    return data.Mnist(mnist.train, first_images(mnist.test, 50))


def first_images(part, count):
    return data.LabelledImages(part.images[:count], part.labels[:count])


def run(folder, mnist, **settings):
    """Returns the epochs of an experiment."""
    chosen = options.Options(pathlib.Path(folder), **settings)
    with claim_run_folders(chosen.logdir, chosen.scope, overwrite=True) as folders:
        return [epoch for epoch in experiment.run(chosen, folders, mnist) if epoch]


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(tmp_path, small):
    short = {"epochs": 2, "steps_per_epoch": 4, "batch_size": 16}
    first = run(tmp_path / "a", small, seed=3, **short)
    assert run(tmp_path / "b", small, seed=3, **short) == first
    assert run(tmp_path / "c", small, seed=4, **short) != first


def test_histograms_are_as_rare_as_asked(tmp_path, small):
    run(tmp_path, small, epochs=1, steps_per_epoch=7, batch_size=4, histogram_every=3)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(tmp_path / "BN/train"), {"histograms": 0}).Reload()
    tag = "BN/conv0/batch_normalization/moving_mean"
    assert [event.step for event in read.Histograms(tag)] == [3, 6]


def saved_steps(folder):
    return sorted(int(path.stem.rpartition("-")[2]) for path in folder.glob("model.ckpt-*.index"))


@pytest.mark.parametrize(("every", "steps"), [(None, [4, 8]), (3, [3, 6])])
def test_checkpoints_are_saved_at_the_end_of_epochs_or_as_often_as_asked(
    every, steps, tmp_path, small
):
    run(tmp_path, small, epochs=2, steps_per_epoch=4, batch_size=4, save_every=every)
    assert saved_steps(tmp_path / "BN/train") == steps
    run(tmp_path, small, epochs=1, steps_per_epoch=5, batch_size=4)
    assert saved_steps(tmp_path / "BN/train") == [5]


def test_a_checkpoint_alone_is_diagnosed_like_the_event_files(tmp_path, small):
    run(tmp_path, small, wiring="none", epochs=1, steps_per_epoch=6, batch_size=4)
    judged = [bn_tb.diagnose(tmp_path / path) for path in ("NoCD/train/model.ckpt-6", "NoCD")]
    assert [one.verdict for one in judged] == ["stale", "stale"]
    assert [finding.code for finding in judged[0].findings] == ["BN101"]
    assert judged[0].findings[0].causes == ("BN401",)
    assert any("in model.ckpt-6, step 6" in line for line in judged[0].findings[0].evidence)


def test_a_checkpoint_that_cannot_be_saved_is_one_line(tmp_path):
    with new_graph():
        tf.get_variable("weight", [1])
        (tmp_path / "full").touch()
        saved = Checkpoints(tmp_path / "full", every=2)
        with initialised_session() as session:
            saved.after(session, 1)
            with pytest.raises(UsageError, match=r"full/model\.ckpt-2: cannot be saved") as told:
                saved.after(session, 2)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


def test_evaluation_counts_every_image_once_however_they_are_chunked(mnist, monkeypatch):
    test = first_images(mnist.test, 70)
    with new_graph():
        inputs = model.placeholders()
        net = functools.partial(model.conv_net, recipe=model.Recipe())
        built = model.build_model("vanilla", inputs, net, "none", 0.001)
        with initialised_session() as session:
            (whole,) = loop.evaluate(session, inputs, [built], test)
            monkeypatch.setattr(loop, "EVALUATION_CHUNK", 32)
            (chunked,) = loop.evaluate(session, inputs, [built], test)
    assert chunked.accuracy == pytest.approx(whole.accuracy)
    assert chunked.loss == pytest.approx(whole.loss, rel=1e-5)


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory, mnist):
    """Two default epochs of three models on the same batches: {name: [Epoch, Epoch]}."""
    from bn_tb.training.side_by_side import Contestant, train

    def contestant(name, momentum, how):
        net = functools.partial(model.conv_net, recipe=model.Recipe(momentum=momentum))
        return Contestant(name, net, how)

    contestants = [
        contestant("BN", 0.99, "control_deps"),
        contestant("BN_fast", 0.9, "control_deps"),
        contestant("NoCD", 0.99, "none"),
    ]
    schedule = loop.Schedule(2, 50, 100, 50, seed=0)
    folder = tmp_path_factory.mktemp("two_epochs")
    epochs = [epoch for epoch in train(contestants, folder, mnist, schedule) if epoch]
    return dict(zip(("BN", "BN_fast", "NoCD"), zip(*epochs, strict=True), strict=True))


def test_with_momentum_0_99_training_is_good_while_evaluation_is_at_chance(two_epochs):
    """11.35 % is the share of the most frequent class among the test images."""
    _, second = two_epochs["BN"]
    assert second.train.accuracy > 0.95
    assert [epoch.test.accuracy for epoch in two_epochs["BN"]] == pytest.approx(
        [0.1135] * 2, abs=0.01
    )


def test_with_momentum_0_9_evaluation_is_good_after_the_first_epoch(two_epochs):
    assert two_epochs["BN_fast"][0].test.accuracy > 0.9


def test_without_control_dependencies_the_evaluation_loss_stays_near_that_of_guessing(two_epochs):
    _, second = two_epochs["NoCD"]
    assert second.train.loss < 0.2
    assert second.test.loss > 1.5  # nats; guessing one of ten is ln 10 = 2.3


def test_the_wiring_changes_nothing_about_training(tmp_path, small):
    """It normalises with the batch's statistics, which is why nobody notices."""
    short = {"epochs": 1, "steps_per_epoch": 5, "batch_size": 16}
    (wired,) = run(tmp_path, small, **short)
    (unwired,) = run(tmp_path, small, wiring="none", **short)
    assert unwired.train == wired.train
    assert unwired.test != wired.test


def test_training_in_inference_mode_is_told_from_updates_that_are_not_wired(tmp_path, small):
    run(tmp_path, small, epochs=1, steps_per_epoch=5, batch_size=16, wiring="inference")
    (judged,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path / "BN_inference/train"))
    (finding,) = [
        finding for finding in judged.findings if finding.severity is bn_tb.Severity.ERROR
    ]
    assert finding.code == "BN101"
    assert "wired to the train op, so the placeholder training was never True" in finding.message
    assert "feed_dict={x: images, y: labels, training: True}" in finding.fix
    assert "train the network anew" in finding.fix
    assert "weights are good" not in finding.fix
