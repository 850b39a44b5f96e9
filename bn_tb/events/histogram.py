"""One histogram to the numbers a HistogramSeries holds."""

import dataclasses

import numpy as np

from bn_tb.events import tensor, wire
from bn_tb.series import BAND_LEVELS


@dataclasses.dataclass(frozen=True)
class Buckets:
    """A histogram in one form for all writers; K buckets, float64 `[K]` each."""

    left: np.ndarray
    right: np.ndarray
    counts: np.ndarray
    minimum: float
    maximum: float
    count: float
    total: float
    sum_squares: float
    exact_moments: bool


def from_proto(message: bytes) -> Buckets:
    """Decodes a HistogramProto (TF1, PyTorch, tensorboardX)."""
    scalars = {number: 0.0 for number in range(1, 6)}
    repeated: dict[int, list[bytes]] = {6: [], 7: []}
    for number, value in wire.fields(message):
        if number in scalars and isinstance(value, float):
            scalars[number] = value
        elif number in repeated:
            if isinstance(value, bytes):
                repeated[number].append(value[: len(value) // 8 * 8])
            else:
                repeated[number].append(np.float64(value).tobytes())
    limits = np.frombuffer(b"".join(repeated[6]), "<f8")
    counts = np.frombuffer(b"".join(repeated[7]), "<f8")
    size = min(limits.size, counts.size)
    limits, counts = limits[:size], counts[:size]
    low, high, num, total, squares = scalars.values()
    left = np.concatenate([[-np.inf], limits[:-1]]) if size else limits
    if num <= 0:
        low = high = np.nan
    return Buckets(
        np.clip(left, low, high), np.clip(limits, low, high), counts,
        low, high, num, total, squares, True,
    )  # fmt: skip


def from_tensor(message: bytes) -> Buckets:
    """Decodes a `[k, 3]` tensor histogram (TF2, Keras): left edge, right edge, count.

    Until 2021 TensorBoard wrote one bucket `[v - 0.5, v + 0.5]` for n values that are all v.
    """
    rows = tensor.decode(message)
    if rows.ndim != 2 or rows.shape[1:] != (3,):
        raise wire.DecodeError(f"histogram tensor of shape {list(rows.shape)}, expected [k, 3]")
    left, right, counts = rows.T
    if len(rows) == 1 and abs(right[0] - left[0] - 1.0) < 1e-6:
        left = right = (left + right) / 2
    middle = left / 2 + right / 2
    filled = np.flatnonzero(counts > 0)
    count = float(counts.sum())
    low, high = (left[filled[0]], right[filled[-1]]) if filled.size else (np.nan, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        total = float((counts * middle).sum())
        squares = float((counts * middle**2).sum())
    return Buckets(left, right, counts, low, high, count, total, squares, False)


def from_scalar(value: float) -> Buckets:
    """A statistic that was logged as one number."""
    edge = np.array([value])
    return Buckets(edge, edge, np.ones(1), value, value, 1.0, value, value * value, True)


def bands(buckets: Buckets) -> np.ndarray:
    """Returns the values at `BAND_LEVELS`, float32 `[9]`, as TensorBoard interpolates them."""
    counts = np.maximum(buckets.counts, 0)
    total = counts.sum()
    if not total > 0 or not np.isfinite(buckets.minimum + buckets.maximum):
        return np.full(len(BAND_LEVELS), np.nan, np.float32)
    filled = counts > 0
    upper = np.cumsum(counts[filled]) / total
    lower = np.concatenate([[0.0], upper[:-1]])
    at = np.minimum(np.searchsorted(upper, BAND_LEVELS, side="right"), upper.size - 1)
    share = np.clip((BAND_LEVELS - lower[at]) / (upper[at] - lower[at]), 0, 1)
    left, right = buckets.left[filled][at], buckets.right[filled][at]
    values: np.ndarray = left + share * (right - left)
    return values.astype(np.float32)
