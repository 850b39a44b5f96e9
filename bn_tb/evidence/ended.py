"""Statistics whose tag ends while other tags go on: from there on nothing is known of them."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bn_tb.layers import BatchNormLayer
from bn_tb.runs.run import Run
from bn_tb.runs.series import HistogramSeries, IntArray

INTERVALS = 5
"""Logged intervals of its own that must be missing: a loop that is cut off misses one or two."""


@dataclasses.dataclass(frozen=True)
class End:
    """A series that ends before another one, with which it was logged until then.

    Attributes:
      layers: Names of the layers that it is about.
      tag: The tag that ends.
      step: Its last step.
      interval: Steps between two of its points, the median.
      other: The tag that goes on.
      last: Its last step.
    """

    layers: tuple[str, ...]
    tag: str
    step: int
    interval: float
    other: str
    last: int


def ended(layers: Sequence[BatchNormLayer], run: Run) -> Iterator[End]:
    """Yields statistics that end while other statistics, or gamma or beta of their layer, go on.

    Left out are layers of which nothing goes on though more of them than the statistics is logged
    (they left the model), tags that several layers share, checkpoints, and what ended before a
    program was started again.
    """
    tags = _logged(layers)
    if not tags:
        return
    longest = _longest({tag: series for tag, (_, series) in tags.items()})
    for tag, (layer, series) in tags.items():
        other, going_on = _longest(dict([longest, *layer.weights.items()]))
        if _ends_before(series.steps, going_on.steps) and not _left(layer, series, run):
            yield _end((layer.name,), tag, series, other, going_on.steps)


def all_ended(layers: Sequence[BatchNormLayer], run: Run) -> Iterator[End]:
    """Yields, once per scalar that goes on, where all statistics of a run end together."""
    tags = _logged(layers)
    if not tags:
        return
    tag, series = _longest({tag: series for tag, (_, series) in tags.items()})
    names = tuple(dict.fromkeys(layer.name for layer, _ in tags.values()))
    if _started_again(run, series):
        return
    for other, scalar in run.scalars.items():
        if scalar.steps.size and _ends_before(series.steps, scalar.steps):
            yield _end(names, tag, series, other, scalar.steps)


_Tags = dict[str, tuple[BatchNormLayer, HistogramSeries]]
"""Statistics by tag, each with its layer."""


def _logged(layers: Sequence[BatchNormLayer]) -> _Tags:
    return {
        tag: (layer, series)
        for layer in layers
        if layer.sources == ("histogram",) and layer.mixed == 1
        for tag, series in ((layer.mean_tag, layer.mean), (layer.variance_tag, layer.variance))
        if series is not None and series.steps.size > 1
    }


def _longest(series: Mapping[str, HistogramSeries]) -> tuple[str, HistogramSeries]:
    return max(series.items(), key=lambda one: int(one[1].steps[-1]) if one[1].steps.size else -1)


def _end(
    layers: tuple[str, ...], tag: str, series: HistogramSeries, other: str, going_on: IntArray
) -> End:
    interval = _interval(series.steps)
    return End(layers, tag, int(series.steps[-1]), interval, other, int(going_on[-1]))


def _interval(steps: IntArray) -> float:
    return float(np.median(np.diff(steps)))


def _started_again(run: Run, series: HistogramSeries) -> bool:
    """Returns whether a program was started after the last point of a series."""
    return any(session.wall_time > series.wall_times[-1] for session in run.sessions)


def _ends_before(own: IntArray, other: IntArray) -> bool:
    """Returns whether steps end early among others that hold their last two."""
    enough = float(other[-1] - own[-1]) > INTERVALS * _interval(own)
    return enough and bool(np.isin(own[-2:], other).all())


def _left(layer: BatchNormLayer, series: HistogramSeries, run: Run) -> bool:
    """Returns whether a layer left the model, or its program ended."""
    if _started_again(run, series):
        return True
    kept = itertools.chain((own for _, own in layer.statistics), layer.weights.values())
    last = series.steps[-1]
    return bool(layer.weights) and all(own.steps[-1] <= last for own in kept if own.steps.size)
