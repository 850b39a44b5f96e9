"""What a monitor has seen so far, as the run that the rules judge.

Shapes: C channels of one layer.
"""

import dataclasses
import time
from collections.abc import Mapping

import numpy as np

from bn_tb.runs.run import Run, Session
from bn_tb.runs.series import BAND_LEVELS, FloatArray, HistogramSeries, ScalarSeries


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """One look at a model.

    Attributes:
      step: Optimizer steps so far.
      histograms: Values by tag, float64 `[C]`: statistics, gamma and beta.
      scalars: Counters, momenta and metrics by tag.
      wall_time: Seconds since the epoch.
    """

    step: int
    histograms: Mapping[str, FloatArray]
    scalars: Mapping[str, float]
    wall_time: float = dataclasses.field(default_factory=time.time)


@dataclasses.dataclass
class _Column:
    """The points of one tag."""

    steps: list[int] = dataclasses.field(default_factory=list)
    times: list[float] = dataclasses.field(default_factory=list)
    moments: list[tuple[float, ...]] = dataclasses.field(default_factory=list)
    bands: list[FloatArray] = dataclasses.field(default_factory=list)
    identity: list[int] = dataclasses.field(default_factory=list)


class History:
    """Snapshots so far; of more than `most` points every second one is dropped."""

    def __init__(self, name: str, most: int = 1000) -> None:
        self._name, self._most = name, most
        self._histograms: dict[str, _Column] = {}
        self._scalars: dict[str, list[tuple[int, float, float]]] = {}
        self._first: tuple[int, float] | None = None

    def add(self, snapshot: Snapshot) -> None:
        """Takes a snapshot."""
        self._first = self._first or (snapshot.step, snapshot.wall_time)
        for tag, values in snapshot.histograms.items():
            _append(self._histograms.setdefault(tag, _Column()), snapshot, values)
        for tag, value in snapshot.scalars.items():
            self._scalars.setdefault(tag, []).append((snapshot.step, snapshot.wall_time, value))
        if any(len(column.steps) > self._most for column in self._histograms.values()):
            self._thin()

    def _thin(self) -> None:
        for column in self._histograms.values():
            for field in dataclasses.fields(column):
                points = getattr(column, field.name)
                points[1:-1] = points[1:-1][::2]
        for rows in self._scalars.values():
            rows[1:-1] = rows[1:-1][::2]

    def run(self) -> Run:
        """Returns the run so far."""
        histograms = {tag: _series(column) for tag, column in self._histograms.items()}
        scalars = {
            tag: ScalarSeries(
                np.array([step for step, _, _ in rows], np.int64),
                np.array([wall_time for _, wall_time, _ in rows]),
                np.array([value for _, _, value in rows]),
            )
            for tag, rows in self._scalars.items()
        }
        steps = [step for column in self._histograms.values() for step in column.steps]
        sessions = (Session("live", self._first[1], self._first[0]),) if self._first else ()
        return Run(
            name=self._name,
            logdir=self._name,
            scalars=scalars,
            histograms=histograms,
            sessions=sessions,
            first_step=min(steps, default=None),
            last_step=max(steps, default=None),
            all_tags=(*histograms, *scalars),
        )


def _append(column: _Column, snapshot: Snapshot, values: FloatArray) -> None:
    finite = np.where(np.isfinite(values), values, 0.0)
    column.steps.append(snapshot.step)
    column.times.append(snapshot.wall_time)
    column.moments.append(
        (
            float(values.min()),
            float(values.max()),
            float(values.size),
            float(values.sum()),
            float(values @ values),
        )
    )
    column.bands.append(np.quantile(finite, BAND_LEVELS))
    column.identity.append(hash(values.tobytes()) & 0xFFFFFFFFFFFFFFFF)


def _series(column: _Column) -> HistogramSeries:
    minimum, maximum, count, total, squares = np.array(column.moments, np.float64).T
    return HistogramSeries(
        steps=np.array(column.steps, np.int64),
        wall_times=np.array(column.times, np.float64),
        minimum=minimum,
        maximum=maximum,
        count=count,
        total=total,
        sum_squares=squares,
        bands=np.array(column.bands, np.float32),
        identity=np.array(column.identity, np.uint64),
    )
