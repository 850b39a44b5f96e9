"""How many updates of the statistics one logged step stands for, and how that is known."""

import bisect
import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.runs.run import Run
from bn_tb.runs.series import ScalarSeries, distinct
from bn_tb.runs.tags import STATISTICS, Role, parse_tag

USER = "the user"
"""Source of a clock that `--updates_per_step` sets: it beats what counters say."""

_EVEN = 0.25  # of the pace; one more or less of four updates between two points
_STAIRS = 4  # phases of movement; fewer may be a stop or a restart
_MOST = 0.8  # share of the intervals; a validation or a pause is now and then


@dataclasses.dataclass(frozen=True)
class Clock:
    """From logged steps to updates: `updates = at_zero + updates_per_step * step`.

    Attributes:
      updates_per_step: Updates of the statistics per logged step, or None if unknown.
      at_zero: Updates made when step 0 was logged; Keras writes the point of epoch 0 after it.
      unit: What a step is: `step` or `epoch`.
      source: How it is known, in words; empty where steps are taken for updates.
      counted: Whether a logged counter of updates shows it.
      steady: Whether the counter grew at this pace in most intervals, and did not rest or race.
      moves: Steps at which the curves move, increasing, each with the updates made until then;
        where they rest between updates that are less frequent than steps, else empty.
    """

    updates_per_step: float | None = 1.0
    at_zero: float = 0.0
    unit: str = "step"
    source: str = ""
    counted: bool = False
    steady: bool = True
    moves: tuple[tuple[int, float], ...] = ()

    @property
    def seldom(self) -> bool:
        """Whether the curves show that there are fewer updates than steps."""
        return bool(self.moves)

    def updates(self, step: float) -> float | None:
        """Returns the updates made when `step` was logged, counted from the run's step 0."""
        if self.updates_per_step is None:
            return None
        if self.moves:
            done = bisect.bisect_right(self.moves, step, key=lambda move: move[0])
            return self.moves[done - 1][1] if done else 0.0
        return self.at_zero + self.updates_per_step * step

    def step_of(self, updates: float) -> float:
        """Returns the step at which so many updates have been made; the pace must be known."""
        if self.moves and 0 < updates <= self.moves[-1][1]:
            return self.moves[bisect.bisect_left(self.moves, updates, key=lambda move: move[1])][0]
        return (updates - self.at_zero) / (self.updates_per_step or math.nan)


def clock_of(run: Run, related: Iterable[Run] = (), flag: float | None = None) -> Clock:
    """Returns the clock of the statistics of a run.

    Args:
      run: The run that holds statistics.
      related: Other runs of its experiment, which may tell iterations from epochs.
      flag: What the user says, updates per step.
    """
    runs = (run, *related)
    epochs = _counts_epochs(run, runs)
    unit = "epoch" if epochs else "step"
    if flag is not None:
        return Clock(flag, flag if epochs else 0.0, unit, USER)
    counted = _update_count(run)
    if counted:
        return dataclasses.replace(counted, unit=unit)
    if not epochs:
        return Clock()
    iterations = _iterations_per_epoch(runs)
    if iterations is None:
        return Clock(None, 0.0, unit)
    per_epoch, tag = iterations
    return Clock(per_epoch, per_epoch, unit, tag)


def own_clock(layer: BatchNormLayer, clock: Clock) -> Clock:
    """Returns the clock of one layer: of its own counter or stairs, else that of the run."""
    counter = layer.counters.get(Role.UPDATE_COUNT)
    if clock.source == USER:
        return clock
    if counter is None:
        return (not clock.source and clock.unit == "step" and _stairs(layer)) or clock
    counted = _line(clock.source, counter.steps, counter.values)
    return dataclasses.replace(counted, unit=clock.unit) if counted else clock


def _stairs(layer: BatchNormLayer) -> Clock | None:
    """Returns the clock of statistics that rest again and again, as they are not always updated.

    A point that differs from the one before it stands for one update where points that rest lie
    between, or single points rest: updates come less often than points. In longer phases of
    movement each step has an update.
    """
    if layer.motion is not Motion.MOVING or layer.saved:
        return None
    _, series = layer.finite[0]
    if any(not np.array_equal(series.steps, other.steps) for _, other in layer.finite):
        return None
    moved: trajectory.BoolArray = np.logical_or.reduce(layer.changes)
    phases = trajectory.segments(moved)
    runs = [stop - start for start, stop, moves in phases if moves]
    rests = [stop - start for start, stop, moves in phases if not moves]
    if len(runs) < _STAIRS:
        return None
    single = max(runs) == 1 or max(rests) == 1
    each = np.ones(moved.size) if single else np.diff(series.steps)
    made = np.cumsum(each * moved)[moved]
    at = series.steps[1:][moved]
    pace = float((made[-1] - made[0]) / (at[-1] - at[0]))
    moves = tuple(zip(at.tolist(), made.tolist(), strict=True))
    return Clock(pace, float(made[-1] - pace * at[-1]), moves=moves)


def _counts_epochs(run: Run, runs: Iterable[Run]) -> bool:
    """Returns whether the histograms' steps are Keras epochs, as those of `epoch_*` scalars are."""
    last = [
        series.steps[-1]
        for tag, series in run.histograms.items()
        if series.steps.size and (parsed := parse_tag(tag)) and parsed.role in STATISTICS
    ]
    if not last:
        return False
    epochs = [
        series.steps.max()
        for other in runs
        for tag, series in other.scalars.items()
        if tag.startswith("epoch_") and series.steps.size
    ]
    return bool(epochs) and max(last) <= max(epochs)


def _update_count(run: Run) -> Clock | None:
    """Returns the clock that a logged `num_batches_tracked` shows."""
    for tag, histogram in run.histograms.items():
        if (parsed := parse_tag(tag)) and parsed.role is Role.UPDATE_COUNT:
            shown = trajectory.as_shown(histogram)
            counted = _line(tag, shown.steps, shown.maximum)
            if counted:
                return counted
    for tag, scalar in run.scalars.items():
        if (parsed := parse_tag(tag)) and parsed.role is Role.UPDATE_COUNT:
            series: ScalarSeries = trajectory.as_shown(scalar)
            counted = _line(tag, series.steps, series.values)
            if counted:
                return counted
    return None


def _line(tag: str, steps: np.ndarray, counts: np.ndarray) -> Clock | None:
    falls = np.flatnonzero(np.diff(counts) < 0)
    if falls.size:  # the counter began again: what it counts since
        steps, counts = steps[falls[-1] + 1 :], counts[falls[-1] + 1 :]
    if steps.size < 2 or not np.isfinite(counts).all() or counts[-1] <= counts[0]:
        return None
    slope = float((counts[-1] - counts[0]) / (steps[-1] - steps[0]))
    pace = np.diff(counts) / np.diff(steps)
    steady = float(np.mean(np.abs(pace - slope) <= _EVEN * slope)) >= _MOST
    at_zero = float(counts[0] - slope * steps[0])
    return Clock(slope, at_zero, source=tag, counted=True, steady=steady)


def _iterations_per_epoch(runs: Iterable[Run]) -> tuple[float, str] | None:
    """Returns iterations per epoch and the tag that shows them.

    Keras writes `evaluation_*_vs_iterations` once an evaluation, with the optimizer's iterations
    as step, beside `epoch_*` of the same evaluation, with the epoch as step.
    """
    runs = tuple(runs)
    for run in runs:
        iterations = {
            tag: series for tag, series in run.scalars.items() if tag.endswith("_vs_iterations")
        }
        epochs = [series for tag, series in run.scalars.items() if tag.startswith("epoch_")]
        for tag, series in iterations.items():
            for epoch in epochs:
                found = _ratio(series.steps, epoch.steps)
                if found is not None:
                    return found, tag
    return _batches_per_epoch(runs)


def _batches_per_epoch(runs: Iterable[Run]) -> tuple[float, str] | None:
    """Returns iterations per epoch from `batch_*` scalars, whose step is the iteration.

    Keras writes them with `update_freq`; the last one may be up to one interval before the end.
    """
    for run in runs:
        epochs = [series for tag, series in run.scalars.items() if tag.startswith("epoch_")]
        for tag, series in run.scalars.items():
            if tag.startswith("batch_") and epochs and series.steps.size > 1:
                steps, last = series.steps, int(epochs[0].steps.max())
                made = int(steps.max()) + int(np.median(np.diff(distinct(steps))))
                if made > 2 * (last + 1):
                    return made / (last + 1), tag
    return None


def _ratio(iterations: np.ndarray, epochs: np.ndarray) -> float | None:
    """Returns iterations per epoch from evaluations that were written on both clocks."""
    if iterations.size != epochs.size or not iterations.size:
        return None
    # The evaluation after epoch e comes after e + 1 epochs.
    if iterations.size == 1:
        ratio = float(iterations[0] / (epochs[0] + 1))
    else:
        ratio = float((iterations[-1] - iterations[0]) / max(epochs[-1] - epochs[0], 1))
    return ratio if ratio > 0 else None
