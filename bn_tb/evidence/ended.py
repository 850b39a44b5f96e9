"""Statistics whose tag ends while others go on: from there on nothing is known of them."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from bn_tb.layers import BatchNormLayer
from bn_tb.runs.run import Run
from bn_tb.runs.series import HistogramSeries

INTERVALS = 5
"""Logged intervals of its own that must be missing: a loop that is cut off misses one or two."""


@dataclasses.dataclass(frozen=True)
class End:
    """A series that ends before another one, with which it was logged until then.

    Attributes:
      layers: Names of the layers that it is about.
      tag: The tag that ends.
      step: Its last step.
      other: The tag that goes on.
      last: Its last step.
    """

    layers: tuple[str, ...]
    tag: str
    step: int
    other: str
    last: int


def ended(layers: Sequence[BatchNormLayer], run: Run) -> Iterator[End]:
    """Yields statistics that end while another statistic goes on.

    Left out are layers of which nothing goes on though more of them than the statistics is logged
    (they left the model), tags that several layers share, checkpoints, and what ended before a
    program was started again.
    """
    tags = _logged(layers)
    if not tags:
        return
    other = _longest(tags)
    going_on = tags[other][1].steps
    for tag, (layer, series) in tags.items():
        if _ends_before(series.steps, going_on) and not _left(layer, series, run):
            yield End((layer.name,), tag, int(series.steps[-1]), other, int(going_on[-1]))


def all_ended(layers: Sequence[BatchNormLayer], run: Run) -> Iterator[End]:
    """Yields, once per scalar that goes on, where all statistics of a run end together."""
    tags = _logged(layers)
    if not tags:
        return
    tag = _longest(tags)
    names, series = tuple(dict.fromkeys(layer.name for layer, _ in tags.values())), tags[tag][1]
    if _started_again(run, series):
        return
    for other, scalar in run.scalars.items():
        if scalar.steps.size and _ends_before(series.steps, scalar.steps):
            yield End(names, tag, int(series.steps[-1]), other, int(scalar.steps[-1]))


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


def _longest(tags: _Tags) -> str:
    return max(tags, key=lambda tag: int(tags[tag][1].steps[-1]))


def _started_again(run: Run, series: HistogramSeries) -> bool:
    """Returns whether a program was started after the last point of a series."""
    return any(session.wall_time > series.wall_times[-1] for session in run.sessions)


def _ends_before(own: np.ndarray, other: np.ndarray) -> bool:
    """Returns whether steps end early among others that hold their last two."""
    missing = float(other[-1] - own[-1])
    enough = missing > INTERVALS * float(np.median(np.diff(own)))
    return enough and bool(np.isin(own[-2:], other).all())


def _left(layer: BatchNormLayer, series: HistogramSeries, run: Run) -> bool:
    """Returns whether a layer left the model, or its program ended."""
    if _started_again(run, series):
        return True
    kept = itertools.chain((own for _, own in layer.statistics), layer.weights.values())
    last = series.steps[-1]
    return bool(layer.weights) and all(own.steps[-1] <= last for own in kept if own.steps.size)
