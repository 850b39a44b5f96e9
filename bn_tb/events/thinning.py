"""Which points of a long series to keep, such that no verdict depends on the others."""

import numpy as np

from bn_tb.events.fields import BoolArray, UIntArray
from bn_tb.runs.series import FloatArray, IntArray

BURST = 8
"""Points; neighbours are kept together, so that step-to-step noise stays measurable."""


def keep(
    ordinals: IntArray,
    steps: IntArray,
    identity: UIntArray,
    measures: FloatArray,
    cap: int,
) -> IntArray:
    """Returns which points of a series to keep, sorted, int64.

    Kept are the first quarter of the cap (the warm-up), every `2**k`-th burst of neighbours with
    the smallest k that fits, and exactly: the last point, both sides of every change between
    constant and moving, of finite and non-finite and of a restart, the extremes of each measure,
    its first and last negative value and both sides of its largest jump. Kept points differ where
    the series moved between them and are equal where it did not: a thinned series can be thinned
    again.

    If the exact points alone are too many, only those among the first and the last of them and in
    the kept bursts are kept.

    Args:
      ordinals: Number of each point in the unthinned series, int64 `[T]`.
      steps: int64 `[T]`.
      identity: uint64 `[T]`; equal where the content is.
      measures: What rules look at, float64 `[T, M]`.
      cap: Points to keep, about; at least 4 bursts.
    """
    count = len(steps)
    if count <= cap:
        return np.arange(count)
    changed = np.concatenate([[False], identity[1:] != identity[:-1]])
    exact = _edges(steps, changed, measures) | _extremes(measures)
    near = ordinals < cap // 4
    near[-1] = True
    room = max(cap - int(np.count_nonzero(exact)), cap // 2)
    stride = 1
    while True:
        chosen = near | (ordinals // BURST % stride == 0)
        if np.count_nonzero(chosen) <= room or stride > count:
            break
        stride *= 2
    if np.count_nonzero(chosen | exact) > 2 * cap:
        spared = np.flatnonzero(exact)
        exact[spared[: -cap // 4]] = False
    chosen |= exact
    return _separate(np.flatnonzero(chosen), identity, changed)


def _edges(steps: IntArray, changed: BoolArray, measures: FloatArray) -> BoolArray:
    edges = np.zeros(len(steps), bool)
    turns = np.flatnonzero(changed[1:-1] != changed[2:]) + 1
    for offset in (-1, 0, 1):
        edges[turns + offset] = True
    flips = steps[1:] < steps[:-1]
    finite = np.isfinite(measures)
    flips |= (finite[1:] != finite[:-1]).any(axis=1)
    edges[:-1] |= flips
    edges[1:] |= flips
    return edges


def _extremes(measures: FloatArray) -> BoolArray:
    marked = np.zeros(len(measures), bool)
    with np.errstate(invalid="ignore", over="ignore"):
        for measure in measures.T:
            finite = np.isfinite(measure)
            marked[np.argmin(np.where(finite, measure, np.inf))] = True
            marked[np.argmax(np.where(finite, measure, -np.inf))] = True
            jumps = np.abs(np.diff(measure))
            largest = int(np.argmax(np.where(np.isfinite(jumps), jumps, -1)))
            marked[largest : largest + 2] = True
            negative = np.flatnonzero(measure < 0)
            marked[negative[:1]] = marked[negative[-1:]] = True
    return marked


def _separate(kept: IntArray, identity: UIntArray, changed: BoolArray) -> IntArray:
    """Adds a point between equal neighbours that had moved in between (A B A)."""
    moves = np.cumsum(changed)
    hidden = np.flatnonzero(
        (identity[kept[1:]] == identity[kept[:-1]]) & (moves[kept[1:]] > moves[kept[:-1]])
    )
    first_move = np.searchsorted(moves, moves[kept[hidden]], side="right")
    return np.union1d(kept, first_move)
