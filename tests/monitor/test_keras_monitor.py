"""The callback for Keras 3 and tf_keras, in fit."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import bn_tb
from bn_tb.monitor.keras import BatchNormMonitor
from tests.places import ROOT

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RANDOM = np.random.RandomState(0)
INPUTS = (RANDOM.randn(640, 8) * 3 + 5).astype(np.float32)
LABELS = RANDOM.randint(0, 4, 640)


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request):
    return pytest.importorskip(request.param)


def fitted(keras, callbacks, epochs=3, momentum=0.9, training=None):
    keras.utils.set_random_seed(1)
    inputs = keras.layers.Input((8,))
    norm = keras.layers.BatchNormalization(momentum=momentum, name="bn")
    hidden = norm(keras.layers.Dense(8)(inputs), training=training)
    outputs = keras.layers.Dense(4)(keras.layers.Dropout(0.2)(hidden))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    steps = 1 if keras.backend.backend() == "torch" else 2  # of PyTorch it allows one
    model.compile(keras.optimizers.SGD(0.01), loss, steps_per_execution=steps)
    model.fit(
        INPUTS, LABELS, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks,
        validation_data=(INPUTS[:64], LABELS[:64]),
    )  # fmt: skip
    return model.get_weights()


def test_a_log_of_the_monitor_alone_is_judged(keras, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", bn_tb.BatchNormWarning)
        fitted(keras, [BatchNormMonitor(tmp_path, every=10)])
    (judged,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert (judged.verdict, judged.layers[0].layer) == ("healthy", "bn")
    assert judged.layers[0].momentum == pytest.approx(0.9)
    assert (judged.layers[0].first_step, judged.layers[0].last_step) == (0, 120)


def test_a_lag_is_told_at_the_end(keras, tmp_path):
    with pytest.warns(bn_tb.BatchNormWarning, match="BN201"):
        fitted(keras, [BatchNormMonitor(tmp_path, every=10)], momentum=0.999)
    assert bn_tb.diagnose(bn_tb.read_logdir(tmp_path))[0].verdict == "lagging"


def test_stop_ends_fit_on_an_error(tmp_path):
    keras = pytest.importorskip("tf_keras")  # Keras 3 overrides training=False in fit
    monitor = BatchNormMonitor(tmp_path, every=4, stop=True)
    with pytest.warns(bn_tb.BatchNormWarning, match="BN101"):
        fitted(keras, [monitor], training=False)
    (judged,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert judged.verdict == "stale" and judged.layers[0].last_step < 120


def test_a_training_is_bit_for_bit_the_same_with_and_without(keras, tmp_path):
    plain = fitted(keras, [], epochs=1)
    watched = fitted(keras, [BatchNormMonitor(tmp_path, every=2)], epochs=1)
    for one, other in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(one, other)


def test_all_of_it_and_the_repair_hold_on_the_torch_backend():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    files = [__file__, str(ROOT / "tests/repair/test_check_and_recalibrate.py")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    ran = subprocess.run(
        [*command, "-k", "keras and not tf_keras and not stop and not torch_backend"],
        cwd=ROOT, env=os.environ | {"KERAS_BACKEND": "torch"}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " passed" in ran.stdout and "skipped" not in ran.stdout
