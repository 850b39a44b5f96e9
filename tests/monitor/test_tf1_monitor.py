"""The hook and the repair for TensorFlow 1 sessions, in a process without eager mode."""

import subprocess
import sys

import pytest

from tests.places import ROOT

pytest.importorskip("tensorflow")

PROGRAM = """
import os, sys, warnings
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import bn_tb
from bn_tb.training.tf1 import tf as v1  # before anything imports tensorflow
import tensorflow as tf
from bn_tb.monitor.tf1 import BatchNormHook, check, recalibrate


v1.disable_eager_execution()
v1.set_random_seed(1)
random = np.random.RandomState(0)
centres = random.randn(4, 8)

def batch(size=64):
    labels = random.randint(0, 4, size)
    return (centres[labels] + 0.5 * random.randn(size, 8)) * 3 + 5, labels

x, y = v1.placeholder(tf.float32, [None, 8]), v1.placeholder(tf.int64, [None])
training = v1.placeholder_with_default(False, [])
dense = tf.matmul(x, v1.get_variable("w", [8, 16]))
norm = v1.layers.batch_normalization(dense, training=training, name="bn")
logits = tf.matmul(tf.nn.relu(norm), v1.get_variable("v", [16, 4]))
loss = v1.losses.sparse_softmax_cross_entropy(y, logits)
step = v1.train.get_or_create_global_step()
train = v1.train.GradientDescentOptimizer(0.05).minimize(loss, global_step=step)
right = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32))
hook = BatchNormHook(sys.argv[1], every=20)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with v1.train.MonitoredTrainingSession(hooks=[hook]) as session:
        for _ in range(200):
            session.run(train, dict(zip((x, y, training), (*batch(), True))))
        raw = session._tf_sess()
        test = dict(zip((x, y), batch(1000)))
        before = raw.run(right, test)
        feeds = [dict(zip((x, y, training), (*batch(), True))) for _ in range(16)]
        held = raw.run(hook._variables)
        checked = check(raw, feeds, logits, {training: False})
        same = all((one == other).all() for one, other in zip(held, raw.run(hook._variables)))
        done = recalibrate(raw, feeds)
        again = check(raw, feeds, logits, {training: False})
        after = raw.run(right, test)
        mean = raw.run(dense, {x: np.concatenate([feed[x] for feed in feeds])}).mean(0)
        stored = done.after["bn"].mean
told = [one for one in caught if issubclass(one.category, bn_tb.BatchNormWarning)]
print(sorted({str(one.message).split(":")[0] for one in told}))
print(before < 0.9, after > 0.97, np.abs(mean - stored).max() < 1e-4)
print([one.code for one in checked.findings], same, again.verdict, checked.findings[0].fix)
judged = bn_tb.diagnose(bn_tb.read_logdir(sys.argv[1]))
print([(one.verdict, one.layers[0].last_step) for one in judged])
"""


def test_a_stale_session_is_warned_of_and_repaired(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told, numbers, *checked, judged = done.stdout.strip().splitlines()
    assert checked[0].startswith("['BN503'] True healthy")
    assert "bn_tb.monitor.tf1.recalibrate(session, feeds)" in " ".join(checked)
    assert told == "['BN101 never-updated']"
    assert numbers == "True True True"
    assert judged.startswith("[('healthy', ")  # the last look came after the repair


REFUSED = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import bn_tb
from bn_tb.training.tf1 import tf as v1
from bn_tb.monitor.tf1 import recalibrate

def layer(x, **options):
    return v1.layers.batch_normalization(x, training=True, name="bn", **options)

def conditional(x):
    return v1.cond(v1.constant(True), lambda: layer(x), lambda: v1.identity(x))

for build in (conditional, lambda x: layer(x, renorm=True)):
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(v1.float32, [None, 4])
        build(x)
        session.run(v1.global_variables_initializer())
        try:
            recalibrate(session, [{x: np.ones([8, 4])}])
        except bn_tb.UsageError as error:
            print(error)
"""


def test_a_repair_that_cannot_work_is_one_clear_line():
    done = subprocess.run([sys.executable, "-c", REFUSED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    inside, renormalised = done.stdout.strip().splitlines()
    assert "lies inside a tf.cond" in inside and "bn renormalises" in renormalised
