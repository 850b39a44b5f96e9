"""A Keras training that is too short for momentum 0.999: the monitor warns, recalibrate repairs.

Run: python examples/keras_monitor.py logs/example
"""

import sys

import keras
import numpy as np

import bn_tb
from bn_tb.monitor.keras import BatchNormMonitor

random = np.random.RandomState(0)
centres = 3 * random.randn(4, 8)
labels = random.randint(0, 4, 2048)
inputs = (centres[labels] + random.randn(2048, 8) + 12).astype("float32")

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.layers.Input((8,)),
        keras.layers.Dense(32),
        keras.layers.BatchNormalization(momentum=0.999),
        keras.layers.ReLU(),
        keras.layers.Dense(4),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("sgd", loss, metrics=["accuracy"])
model.fit(inputs, labels, epochs=3, verbose=0, callbacks=[BatchNormMonitor(sys.argv[1], every=20)])

print(f"before: {model.evaluate(inputs, labels, verbose=0)[1]:.1%}")
print(
    bn_tb.recalibrate(model, [(inputs[i : i + 64], labels[i : i + 64]) for i in range(0, 2048, 64)])
)
print(f"after:  {model.evaluate(inputs, labels, verbose=0)[1]:.1%}")
