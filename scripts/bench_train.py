"""Measures what a training step costs, with and without logging, beside TensorFlow 2.

That is a `tf.function` in a plain loop, and Keras' `model.fit`.

    python scripts/bench_train.py [--rounds=10]

All variants train the same net on the same data with the same batch size in this one process, in
turns, so that whatever else the machine does meets all of them. A time is the median over all
steps. The last row is what one checkpoint takes, as a share of the epoch after which it is saved.
"""

import itertools
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from absl import app, flags

from bn_tb.training import data, experiment, loop, model
from bn_tb.training.checkpoints import Checkpoints
from bn_tb.training.options import Options
from bn_tb.training.tf1 import set_seed, tf

os.environ["KERAS_BACKEND"] = "tensorflow"
# isort: split
import keras
import tensorflow

ROUNDS = flags.DEFINE_integer("rounds", 10, "Turns of each variant.", lower_bound=1)
STEPS = 25  # of a turn; the first ones warm up
WARM_UP = 5  # steps of each turn that do not count
BATCH_SIZE = 100
STEPS_PER_EPOCH = 50  # after which bn_tb.train saves, by default
SAVED = "one checkpoint, to an epoch of our steps"

Turn = Callable[[], list[float]]  # returns the duration of each step in seconds


def durations(steps: Iterator[object]) -> list[float]:
    """Returns the durations in seconds of the next `STEPS` items of `steps`."""
    result = []
    for _ in range(STEPS):
        start = time.perf_counter()
        next(steps)
        result.append(time.perf_counter() - start)
    return result


def bare_steps(
    session: tf.Session, inputs: model.Placeholders, net: model.Model, mnist: data.Mnist
) -> Iterator[None]:
    """Trains for ever, without fetching or writing anything."""
    for X, y in mnist.train.shuffled_batches(BATCH_SIZE, seed=0):
        session.run(net.train, {inputs.X: X, inputs.y: y, inputs.training: True})
        yield


def saves_of(saved: Checkpoints, session: tf.Session) -> Iterator[None]:
    """Saves for ever."""
    for step in itertools.count(1):
        with session.graph.as_default():
            saved.after(session, step)
        yield


def our_turns(folder: pathlib.Path, mnist: data.Mnist) -> dict[str, Turn]:
    """Returns a turn of `bn_tb.train`'s loop, and one of its bare training step."""
    graph = tf.Graph()
    with graph.as_default():
        set_seed(0)
        inputs = model.placeholders()
        net = experiment.build_graph(Options(folder), inputs)
        session = tf.Session(graph=graph)
        session.run([variable.initializer for variable in tf.global_variables()])
        writers = loop.Writers(
            tf.summary.FileWriter(str(folder / "train"), graph),
            tf.summary.FileWriter(str(folder / "test")),
        )
        saved = Checkpoints(folder / "train", every=1)
    schedule = loop.Schedule(
        epochs=1, steps_per_epoch=10**9, batch_size=BATCH_SIZE, histogram_every=1, seed=0
    )
    bare = bare_steps(session, inputs, net, mnist)
    logged = loop.train(session, inputs, [(net, writers)], mnist, schedule)
    saves = saves_of(saved, session)
    return {
        "our step, nothing logged": lambda: durations(bare),
        "our step, histograms and scalars": lambda: durations(logged),
        SAVED: lambda: durations(saves),
    }


class StepTimes(keras.callbacks.Callback):
    """Collects the time between the ends of two batches."""

    def on_train_begin(self, logs: object = None) -> None:
        """Starts anew."""
        self.ends = [time.perf_counter()]

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Notes the time; this callback is the last, so the others' work is included."""
        self.ends.append(time.perf_counter())


def keras_net() -> keras.Model:
    """Returns the net of `bn_tb.train`, made of Keras layers."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    net = keras.Sequential([keras.Input((784,)), layers.Reshape((28, 28, 1))])
    for filters in model.FILTERS:
        net.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
        net.add(layers.BatchNormalization())
        net.add(layers.Activation("relu"))
        net.add(layers.MaxPooling2D(2, 2, padding="same"))
    net.add(layers.Flatten())
    net.add(layers.Dense(data.CLASSES))
    return net


def function_turn(mnist: data.Mnist) -> Turn:
    """Returns a turn of a plain loop around a `tf.function`, which writes nothing."""
    net = keras_net()
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam()

    @tensorflow.function
    def train_step(X: tensorflow.Tensor, y: tensorflow.Tensor) -> tensorflow.Tensor:
        with tensorflow.GradientTape() as tape:
            loss = loss_of(y, net(X, training=True))
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
        return loss

    def steps() -> Iterator[None]:
        for X, y in mnist.train.shuffled_batches(BATCH_SIZE, seed=0):
            train_step(tensorflow.constant(X), tensorflow.constant(y)).numpy()
            yield

    endless = steps()
    return lambda: durations(endless)


def keras_turn(folder: pathlib.Path, mnist: data.Mnist) -> Turn:
    """Returns a turn of `model.fit` on the same net, scalars written at every step."""
    net = keras_net()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile("adam", loss, metrics=["accuracy"])
    X, y = mnist.train.batch(slice(0, STEPS * BATCH_SIZE))
    board = keras.callbacks.TensorBoard(folder / "keras", update_freq=1)
    times = StepTimes()

    def turn() -> list[float]:
        net.fit(X, y, batch_size=BATCH_SIZE, verbose=0, callbacks=[board, times])
        return [after - before for before, after in itertools.pairwise(times.ends)]

    return turn


def main(_: list[str]) -> None:
    """Measures all variants in turns and prints a table."""
    mnist = data.read_mnist()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        turns = our_turns(folder, mnist)
        turns["tf.function in a plain loop, nothing logged"] = function_turn(mnist)
        turns["Keras model.fit, TensorBoard callback"] = keras_turn(folder, mnist)
        measured: dict[str, list[float]] = {variant: [] for variant in turns}
        for _ in range(ROUNDS.value):
            for variant, turn in turns.items():
                measured[variant] += turn()[WARM_UP:]
    medians = {variant: float(np.median(times)) for variant, times in measured.items()}
    base = next(iter(medians.values()))
    saving = medians.pop(SAVED)
    print(f"{'batch of ' + str(BATCH_SIZE):44} {'ms a step':>9} {'ratio':>6}")
    for variant, median in medians.items():
        print(f"{variant:44} {median * 1000:9.2f} {median / base:6.3f}")
    print(f"{SAVED:44} {saving * 1000:9.2f} {saving / (base * STEPS_PER_EPOCH):6.3f}")


if __name__ == "__main__":
    app.run(main)
