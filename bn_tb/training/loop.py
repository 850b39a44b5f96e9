"""Training and evaluation of the models of one graph on the same batches."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bn_tb.training.data import LabelledImages, Mnist
from bn_tb.training.model import Model, Placeholders
from bn_tb.training.tf1 import tf

EVALUATION_CHUNK = 500  # images


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and in which mode to train, on what, and how often to look.

    Attributes:
      epochs: Each ends with an evaluation on the whole test set.
      steps_per_epoch: Training steps.
      batch_size: Images of a step.
      histogram_every: Steps between two histograms of the moving statistics.
      seed: Of the order of the images.
      training: What the placeholder `training` is fed in training steps; False is a fault, which
        leaves batch normalisation in inference mode.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    histogram_every: int
    seed: int
    training: bool = True


@dataclasses.dataclass(frozen=True, eq=False)
class Writers:
    """The event files of one model: what it measures while it learns, and on the test set."""

    train: Any
    test: Any


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Accuracy (0 to 1) and loss (nats), means over the images they were measured on."""

    accuracy: float
    loss: float


@dataclasses.dataclass(frozen=True)
class Epoch:
    """How one model did: during its training steps, and on the test set after them."""

    train: Metrics
    test: Metrics


@dataclasses.dataclass(frozen=True)
class Repair:
    """The same weights on the test set, before and after their statistics were estimated anew."""

    before: Metrics
    after: Metrics
    batches: int


def train(
    session: Any,
    inputs: Placeholders,
    models: Sequence[tuple[Model, Writers]],
    mnist: Mnist,
    schedule: Schedule,
) -> Iterator[list[Epoch] | None]:
    """Trains; yields None after each step and the models' results after each epoch's last one."""
    batches = mnist.train.shuffled_batches(schedule.batch_size, schedule.seed)
    step = 0
    for _ in range(schedule.epochs):
        measured = []
        for _ in range(schedule.steps_per_epoch):
            step += 1
            measured.append(
                _train_step(session, inputs, models, next(batches), step, schedule.training)
            )
            if step % schedule.histogram_every == 0:
                _write_histograms(session, models, step)
            yield None
        tests = evaluate(session, inputs, [model for model, _ in models], mnist.test)
        for (_, writers), test in zip(models, tests, strict=True):
            write_metrics(writers.test, test, step)
            writers.train.flush()
            writers.test.flush()
        trains = [Metrics(*column) for column in np.mean(measured, axis=0).tolist()]
        yield [Epoch(*pair) for pair in zip(trains, tests, strict=True)]


def _train_step(
    session: Any,
    inputs: Placeholders,
    models: Sequence[tuple[Model, Writers]],
    batch: tuple[np.ndarray, np.ndarray],
    step: int,
    training: bool,
) -> list[tuple[float, float]]:
    X, y = batch
    fetches = [([model.accuracy, model.loss], model.train) for model, _ in models]
    results = session.run(fetches, {inputs.X: X, inputs.y: y, inputs.training: training})
    for (_, writers), (metrics, _) in zip(models, results, strict=True):
        write_metrics(writers.train, Metrics(*metrics), step)
    return [metrics for metrics, _ in results]


def write_metrics(writer: Any, metrics: Metrics, step: int) -> None:
    """Writes the scalars `accuracy` and `loss`."""
    values = [
        tf.Summary.Value(tag=tag, simple_value=value)
        for tag, value in dataclasses.asdict(metrics).items()
    ]
    writer.add_summary(tf.Summary(value=values), step)


def _write_histograms(session: Any, models: Sequence[tuple[Model, Writers]], step: int) -> None:
    """Reads the statistics in a run of their own: what they are after the step.

    Inside the training step it would be left to chance whether they are read before their update.
    """
    logged = [(model, writers) for model, writers in models if model.histograms is not None]
    summaries = session.run([model.histograms for model, _ in logged])
    for (_, writers), summary in zip(logged, summaries, strict=True):
        writers.train.add_summary(summary, step)


def evaluate(
    session: Any, inputs: Placeholders, models: Sequence[Model], test: LabelledImages
) -> list[Metrics]:
    """Returns the models' metrics on all of `test`, measured with the moving statistics."""
    fetches = [[model.accuracy, model.loss] for model in models]
    totals = np.zeros((len(models), 2))
    for start in range(0, len(test), EVALUATION_CHUNK):
        X, y = test.batch(slice(start, start + EVALUATION_CHUNK))
        feed = {inputs.X: X, inputs.y: y, inputs.training: False}
        totals += len(y) * np.array(session.run(fetches, feed))
    return [Metrics(*row) for row in (totals / len(test)).tolist()]
