"""A TensorFlow 1 training whose update ops nobody runs: the hook warns, recalibrate repairs.

Run: python examples/tf1_monitor.py logs/example
"""

import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # for tf.layers, before tensorflow is imported

import numpy as np
import tensorflow.compat.v1 as tf

from bn_tb.monitor.tf1 import BatchNormHook, recalibrate

tf.disable_eager_execution()
tf.set_random_seed(0)
random = np.random.RandomState(0)
centres = 3 * random.randn(4, 8)

x, y = tf.placeholder(tf.float32, [None, 8]), tf.placeholder(tf.int64, [None])
training = tf.placeholder_with_default(False, [])
hidden = tf.layers.batch_normalization(tf.layers.dense(x, 32), training=training)
logits = tf.layers.dense(tf.nn.relu(hidden), 4)
loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
step = tf.train.get_or_create_global_step()
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step)  # no updates
accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32))


def feed(size=64, mode=True):
    """Returns a feed_dict of examples around four centres."""
    labels = random.randint(0, 4, size)
    return {x: centres[labels] + random.randn(size, 8) + 5, y: labels, training: mode}


hook = BatchNormHook(sys.argv[1], every=20)
with tf.train.MonitoredTrainingSession(hooks=[hook]) as monitored:
    for _ in range(200):
        monitored.run(train, feed())
    session = monitored._tf_sess()
    test = feed(1000, mode=False)
    print(f"before: {session.run(accuracy, test):.1%}")
    print(recalibrate(session, [feed() for _ in range(16)]))
    print(f"after:  {session.run(accuracy, test):.1%}")
