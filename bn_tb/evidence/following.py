"""Whether weights follow other weights, as those of a copy do, or are trained by themselves.

A copy goes a part of its way to the original between two points: all of it where it takes the
weights over, 1 - d**k of it where it averages them with a decay d over k steps. Averages over the
values of a weight are linear, so they go the same part. Fitted is one part for all weights and
points; what it leaves unexplained of the copy's movement is below 5 % in real copies (averages
with decays of 0.9 to 0.999, targets taken over every 10 to 50 steps, logged every 1 to 40 steps),
32 to 52 % in averages of all weights so far (SWA, whose part shrinks), and above 95 % in networks
that are trained side by side on the same batches, also from equal weights. Of few points, or behind
a strong weight decay that moves all networks alike, it is 26 % and more, or each network follows
the other as well, or itself to 0: then nothing is said, as of a fast average that is logged at long
intervals.
"""

from collections.abc import Iterable

import numpy as np

from bn_tb.layers import trajectory
from bn_tb.runs.series import FloatArray, HistogramSeries

_FOLLOWS = 0.2  # share of the movement left unexplained; between 5 % and 26 %
_ALIKE = 2  # ratio to what other explanations leave; above it the copy is the better one
_ON_ITS_OWN = 0.75  # the same; between 52 % and 95 %
_FEWEST = 8  # moves of weights between two points
_ROUNDING = 1e-6  # of the largest value: some bits of float32
_TAKEN_OVER = 0.8  # share of the copy's points that are points of the original, bit for bit


def follows(pairs: Iterable[tuple[HistogramSeries, HistogramSeries]]) -> bool | None:
    """Returns whether weights follow others, or None where their points do not tell.

    Args:
      pairs: Weights, each with the one that it may be a copy of.
    """
    there, back = _Fit(), _Fit()
    points = taken = 0
    exact = True
    for copy, original in pairs:
        _, at, beside = np.intersect1d(copy.steps, original.steps, return_indices=True)
        if at.size < 2:
            continue
        copy, original = trajectory.take(copy, at), trajectory.take(original, beside)
        moved = trajectory.changes(copy)
        exact = exact and copy.exact_moments and original.exact_moments
        points += int(moved.sum())
        taken += int(np.isin(copy.identity[1:][moved], original.identity).sum())
        small = _ROUNDING * max(abs(copy.minimum).max(), abs(copy.maximum).max())
        for own, other in zip(_curves(copy), _curves(original), strict=True):
            if np.abs(other - own).max() <= small:
                continue  # gradients of a softmax leave the mean of the last weights as it is
            there.add(own, other, moved)
            back.add(other, own, trajectory.changes(original))
    if points < _FEWEST:
        return None
    if taken >= _TAKEN_OVER * points:
        return True
    rest = there.unexplained()
    if rest < _FOLLOWS:
        others = min(back.unexplained(), there.unexplained_by_itself())
        return True if others > _ALIKE * rest else None
    return False if exact and rest > _ON_ITS_OWN else None


class _Fit:
    """One part of the way that all movements are to be, gathered weight by weight."""

    def __init__(self) -> None:
        self._moves: list[FloatArray] = []
        self._ways: list[FloatArray] = []
        self._halfway: list[FloatArray] = []
        self._values: list[FloatArray] = []

    def add(self, own: FloatArray, other: FloatArray, moved: trajectory.BoolArray) -> None:
        """Adds what may follow another curve, where it moved."""
        self._moves.append(np.diff(own)[moved])
        self._values.append(own[:-1][moved])
        self._ways.append((other[1:] - own[:-1])[moved])
        self._halfway.append(((other[1:] + other[:-1]) / 2 - own[:-1])[moved])

    def unexplained(self) -> float:
        """Returns the share of the movement that is left; to the end of a way, or to its middle."""
        return min(_unexplained(self._moves, ways) for ways in (self._ways, self._halfway))

    def unexplained_by_itself(self) -> float:
        """Returns what is left where each weight goes one part of its way to 0, as it decays."""
        return _unexplained(self._moves, self._values)


def _curves(series: HistogramSeries) -> tuple[FloatArray, ...]:
    """Returns what is known exactly: 30 buckets show a mean to a thirtieth of the range only.

    Extremes follow as long as they are those of one channel.
    """
    return (series.mean,) if series.exact_moments else (series.minimum, series.maximum)


def _unexplained(moves: list[FloatArray], ways: list[FloatArray]) -> float:
    """Returns the share of all movement that one part of all ways does not explain."""
    scales = [float(np.sqrt(np.mean(way**2))) if way.size else 0.0 for way in ways]
    if not moves:
        return np.nan
    move = np.concatenate([one / (size or 1.0) for one, size in zip(moves, scales, strict=True)])
    way = np.concatenate([one / (size or 1.0) for one, size in zip(ways, scales, strict=True)])
    energy, length = float(move @ move), float(way @ way)
    if not energy > 0 or not length > 0:
        return 1.0
    rest = move - float(move @ way) / length * way
    return float(rest @ rest) / energy
