"""Where the statistics of a layer stand still while its network is trained."""

import dataclasses

import numpy as np

from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.layers.trajectory import BoolArray
from bn_tb.rules._training import Pulse, pulse_of
from bn_tb.rules.subject import Subject
from bn_tb.runs.series import IntArray

FIXED_POINT = 1e-5
"""Relative size of the last change below which a curve that stops has converged; float32 rounds at
6e-8, and a momentum of 0.99 or 0.999 stops at a hundred or a thousand times that."""


@dataclasses.dataclass(frozen=True)
class Stillness:
    """Intervals between points of a layer; I intervals.

    Attributes:
      steps: Steps of the points, int64 `[I + 1]`.
      moved: Whether a statistic changed, bool `[I]`.
      trained: Whether the network was trained meanwhile, bool `[I]`.
      pulse: What shows the training.
      converged: Whether the last change was one of rounding.
    """

    steps: IntArray
    moved: BoolArray
    trained: BoolArray
    pulse: Pulse
    converged: bool

    def plateaus(self, shortest: int) -> list[tuple[int, int]]:
        """Returns (start, stop) of stretches without movement in which training went on.

        Training must show in at least half of the stretch's intervals and in `shortest` of them.
        """
        found = []
        for start, stop, moved in trajectory.segments(self.moved):
            trained = int(self.trained[start:stop].sum())
            if not moved and trained >= max(shortest, (stop - start) / 2):
                found.append((start, stop))
        return found


def stillness_of(subject: Subject, layer: BatchNormLayer) -> Stillness | None:
    """Returns where a moving layer stood still, or None if it did not or nothing can tell."""
    if layer.motion is not Motion.MOVING:
        return None
    steps = layer.finite[0][1].steps
    same = [
        (series, changes)
        for (_, series), changes in zip(layer.finite, layer.changes, strict=True)
        if series.steps is steps or np.array_equal(series.steps, steps)
    ]
    moved: BoolArray = np.logical_or.reduce([changes for _, changes in same])
    if moved.all():
        return None
    pulse = pulse_of(subject, layer)
    if pulse is None:
        return None
    return Stillness(
        steps=steps,
        moved=moved,
        trained=pulse.between(steps) > 0,
        pulse=pulse,
        converged=max(trajectory.last_move(series) for series, _ in same) < FIXED_POINT,
    )
