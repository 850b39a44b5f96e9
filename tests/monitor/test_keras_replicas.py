"""Replicas of tf.distribute: the monitor logs each, and BN502 judges them."""

import json
import subprocess
import sys

import pytest

from tests.places import ROOT

PROGRAM = """
import importlib, json, os, sys, warnings
name, folder, shift = sys.argv[1:]
os.environ["TF_USE_LEGACY_KERAS"] = str(int(name == "tf_keras"))
import numpy as np, tensorflow as tf
keras = importlib.import_module(name)
from bn_tb.monitor.keras import BatchNormMonitor
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    norm = keras.layers.BatchNormalization(momentum=0.5, name="bn")
    model = keras.Sequential([keras.Input([3]), norm, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
inputs = np.random.RandomState(0).randn(16, 2, 16, 3).astype("float32")
inputs[:, 1] += float(shift)
data = tf.data.Dataset.from_tensor_slices((inputs.reshape(512, 3), np.ones([512, 1], "float32")))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(data.batch(32), epochs=2, verbose=0, callbacks=[BatchNormMonitor(folder, every=4)])
print(json.dumps([str(one.message)[:5] for one in caught if "BatchNorm" in one.category.__name__]))
"""


@pytest.mark.parametrize(("shift", "told"), [(10, ["BN502"]), (0, [])])
@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_replicas_that_see_other_data_disagree(framework, shift, told, tmp_path):
    pytest.importorskip(framework)
    command = [sys.executable, "-c", PROGRAM, framework, str(tmp_path), str(shift)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert json.loads(ended.stdout) == told
    import bn_tb

    (run,) = bn_tb.read_logdir(tmp_path)
    assert sum("bn/moving_mean/replica_" in tag for tag in run.histograms) == 2
    assert [one.code for one in bn_tb.diagnose([run]).findings if one.code == "BN502"] == told
