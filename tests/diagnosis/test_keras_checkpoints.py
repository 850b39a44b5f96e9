"""What checkpoints of Keras and TensorFlow 2 prove, written by them."""

import numpy as np
import pytest

import bn_tb

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")


def model(library, momentum=0.99, trainable=True):
    """Returns a compiled model with one layer of batch norm, `norm`."""
    keras = pytest.importorskip(library)
    layers = keras.layers
    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization(momentum=momentum, trainable=trainable, name="norm")
    built = keras.Sequential([layers.Dense(6), norm, layers.ReLU(), layers.Dense(1)])
    built.compile(keras.optimizers.Adam(1e-3), "mse")
    return built


def train(built, epochs):
    rng = np.random.default_rng(0)
    inputs = rng.normal(1, 2, (64, 5)).astype(np.float32)
    built.fit(inputs, inputs[:, :1], batch_size=16, epochs=epochs, verbose=0)
    return built


@pytest.mark.parametrize(
    ("settings", "epochs", "verdict"),
    [
        ({"momentum": 0.9}, 100, "healthy"),
        ({"trainable": False}, 20, "stale"),
        ({"momentum": 0.99}, 3, "lagging"),
    ],
)
def test_a_saved_model_of_keras_2_tells_its_momentum(settings, epochs, verdict, tmp_path):
    train(model("tf_keras", **settings), epochs).save(tmp_path / "saved_model")
    judged = bn_tb.diagnose(tmp_path)
    assert judged.verdict == verdict
    assert "BN902" not in {finding.code for finding in judged.findings}


def test_an_exported_model_of_keras_3_is_known_by_the_names_of_its_layers(tmp_path):
    built = train(model("keras"), 2)
    built.export(tmp_path / "exported", verbose=False)
    (run,) = bn_tb.read_logdir(tmp_path)
    (mean,) = [tag for tag in run.histograms if tag.endswith("norm/moving_mean")]
    assert run.histograms[mean].maximum[0] == built.get_layer("norm").moving_mean.numpy().max()


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_layer_frozen_at_birth_is_stale_although_its_own_weights_stand_still(library, tmp_path):
    built = model(library, trainable=False)
    train(built, 1)
    saved = tf.train.Checkpoint(model=built, optimizer=built.optimizer)
    for step in (1, 2):
        train(built, 1)
        saved.write(str(tmp_path / f"ckpt-{step}"))
    assert bn_tb.diagnose(tmp_path).verdict == "stale"
