"""One training whose batch statistics are averaged with several momenta, and judged with each."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from bn_tb.training import averages, loop, side_by_side
from bn_tb.training.averages import MovingAverage, Statistics
from bn_tb.training.data import Mnist
from bn_tb.training.model import Model, Placeholders, Recipe, conv_net
from bn_tb.training.study.cell import Row
from bn_tb.training.tf1 import tf

SCOPE = "ReLU_BN"
ESTIMATED = "re-estimated"
_ESTIMATION_IMAGES, _ESTIMATION_BATCH = 2000, 100
_EPSILON = 0.001  # of tf.layers.batch_normalization


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained and when it is looked at.

    Attributes:
      seed: Of the weights and of the order of the images.
      batch_size: Images of a step.
      steps: Training steps.
      momenta: Of the averages; their name is `momentum <m>`.
      debiased: Those of `momenta` that are also judged without their initial value.
      evaluated: Steps after which all averages are evaluated on the test set.
      mixed: Steps, each in `evaluated`, after which mixtures of the initial and the re-estimated
        statistics are evaluated.
      initial_weights: Weights of the initial statistics in the mixtures, in `[0, 1]`.
      histogram_every: Steps between two histograms of each average.
    """

    seed: int
    batch_size: int
    steps: int
    momenta: tuple[float, ...]
    debiased: tuple[float, ...]
    evaluated: tuple[int, ...]
    mixed: tuple[int, ...]
    initial_weights: tuple[float, ...]
    histogram_every: int = 10


def train(
    plan: Plan, folder: pathlib.Path, mnist: Mnist, advance: Callable[[], None]
) -> tuple[list[Row], list[Row]]:
    """Trains one net.

    The event files show each average as if it was the layers' own: `<folder>/train/momentum 0.9`
    and so on. No graph is written, for it would name momentum 0, which is none of theirs.

    Args:
      plan: What to do.
      folder: Gets the event files.
      mnist: Images.
      advance: Called after each step.

    Returns:
      One row for each average and evaluation; one for each mixture and evaluation.
    """
    net = functools.partial(conv_net, recipe=Recipe(momentum=0.0))
    contestant = side_by_side.Contestant(SCOPE, net)
    with (
        side_by_side.session_of([contestant], plan.seed) as (session, inputs, models),
        contextlib.ExitStack() as stack,
    ):
        judge = _Judge(session, inputs, models[0], mnist, folder, stack)
        kept = [MovingAverage.start(m, judge.initial) for m in plan.momenta]
        batches = mnist.train.shuffled_batches(plan.batch_size, plan.seed)
        rows: list[Row] = []
        mixtures: list[Row] = []
        for step in range(1, plan.steps + 1):
            metrics, seen = judge.train_step(*next(batches))
            kept = [average.updated(seen) for average in kept]
            if step in plan.evaluated or step % plan.histogram_every == 0:
                judge.log(step, metrics, _named(kept, plan.debiased))
            if step in plan.evaluated:
                estimated = judge.estimate()
                everything = {**_named(kept, plan.debiased), ESTIMATED: (0.0, estimated)}
                rows += judge.compare(step, everything, estimated)
                if step in plan.mixed:
                    mixtures += judge.bear(step, estimated, plan.initial_weights)
            advance()
    return rows, mixtures


def _named(
    kept: list[MovingAverage], debiased: tuple[float, ...]
) -> dict[str, tuple[float, Statistics]]:
    """Returns the weight of the initial value in each average, and its value, by name."""
    found = {f"momentum {a.momentum:g}": (a.initial_weight, a.value) for a in kept}
    for average in kept:
        if average.momentum in debiased:
            found[f"momentum {average.momentum:g}, debiased"] = 0.0, average.debiased
    return found


class _Judge:
    """A net, its images and its event files."""

    def __init__(
        self,
        session: Any,
        inputs: Placeholders,
        model: Model,
        mnist: Mnist,
        folder: pathlib.Path,
        stack: contextlib.ExitStack,
    ):
        """Reads the initial statistics; `stack` closes the writers, which are opened at need."""
        self._session, self._inputs, self._model, self._mnist = session, inputs, model, mnist
        self._folder, self._stack = folder, stack
        self._writers: dict[tuple[str, str], Any] = {}
        self.initial = averages.read(session, SCOPE)

    def train_step(self, X: Any, y: Any) -> tuple[loop.Metrics, Statistics]:
        """Returns the metrics and the statistics of the batch."""
        model, inputs = self._model, self._inputs
        fetches = [[model.accuracy, model.loss], model.train]
        feed = {inputs.X: X, inputs.y: y, inputs.training: True}
        metrics, _ = self._session.run(fetches, feed)
        return loop.Metrics(*map(float, metrics)), averages.read(self._session, SCOPE)

    def log(
        self, step: int, metrics: loop.Metrics, named: dict[str, tuple[float, Statistics]]
    ) -> None:
        """Writes the averages as histograms, each to a run of its own."""
        for name, (_, statistics) in named.items():
            averages.load(self._session, SCOPE, statistics)
            writer = self._writer("train", name)
            writer.add_summary(self._session.run(self._model.histograms), step)
            loop.write_metrics(writer, metrics, step)

    def estimate(self) -> Statistics:
        """Returns the statistics of the first training images under the present weights."""
        train = self._mnist.train
        starts = range(0, min(_ESTIMATION_IMAGES, len(train)), _ESTIMATION_BATCH)
        batches = (train.batch(slice(start, start + _ESTIMATION_BATCH)) for start in starts)
        return averages.estimate(self._session, self._inputs, SCOPE, batches)

    def compare(
        self, step: int, named: dict[str, tuple[float, Statistics]], truth: Statistics
    ) -> Iterator[Row]:
        """Evaluates the present weights with each of the statistics."""
        for name, (weight, statistics) in named.items():
            metrics = self._evaluate(statistics)
            loop.write_metrics(self._writer("test", name), metrics, step)
            mean_error, variance_error = averages.distance(statistics, truth, _EPSILON)
            yield {
                "step": step,
                "statistics": name,
                "initial_weight": weight,
                **_metrics_columns(metrics),
                "mean_error": mean_error,
                "log_variance_error": variance_error,
            }

    def bear(self, step: int, estimated: Statistics, weights: tuple[float, ...]) -> Iterator[Row]:
        """Evaluates the present weights with more and less of the initial statistics."""
        for weight in weights:
            mixed = averages.mixture(self.initial, estimated, weight)
            yield {
                "step": step,
                "initial_weight": weight,
                **_metrics_columns(self._evaluate(mixed)),
            }

    def _evaluate(self, statistics: Statistics) -> loop.Metrics:
        averages.load(self._session, SCOPE, statistics)
        return loop.evaluate(self._session, self._inputs, [self._model], self._mnist.test)[0]

    def _writer(self, part: str, name: str) -> Any:
        if (part, name) not in self._writers:
            writer = tf.summary.FileWriter(str(self._folder / part / name))
            self._stack.callback(writer.close)
            self._writers[part, name] = writer
        return self._writers[part, name]


def _metrics_columns(metrics: loop.Metrics) -> Row:
    return {"test_accuracy": metrics.accuracy, "test_loss": metrics.loss}
