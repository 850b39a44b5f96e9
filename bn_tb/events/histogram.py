"""Histograms of all writers to the columns that a HistogramSeries holds, many at a time.

Letters of shapes: N histograms of at most K buckets.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bn_tb.events import protos, tensor, wire
from bn_tb.events.fields import Buffer, Fields, UIntArray, find_fields
from bn_tb.runs.series import BAND_LEVELS, FloatArray, IntArray, distinct

_MIN, _MAX, _NUM, _SUM, _SUM_SQUARES = (wire.key(number, wire.FIXED64) for number in range(1, 6))
_LIMITS, _COUNTS = wire.key(6, wire.BYTES), wire.key(7, wire.BYTES)
_LIMIT, _COUNT = wire.key(6, wire.FIXED64), wire.key(7, wire.FIXED64)
"""Fields of HistogramProto (tensorflow/core/framework/histogram.proto); the last two unpacked."""

_DTYPE, _SHAPE, _CONTENT = (
    wire.key(1, wire.VARINT),
    wire.key(2, wire.BYTES),
    wire.key(4, wire.BYTES),
)
_FLOATS, _DOUBLES = wire.key(5, wire.BYTES), wire.key(6, wire.BYTES)
_ONE_BY_ONE = wire.key(5, wire.FIXED32), wire.key(6, wire.FIXED64)
"""Fields of TensorProto (tensorflow/core/framework/tensor.proto); the last two unpacked."""

_MAX_ROWS = 1 << 32  # no such tensor fits into a record; keeps the arithmetic inside int64
_CLASS = 8  # buckets; histograms are decoded together whose numbers of buckets round up alike

_BLOCK = 1 << 16
"""Buckets that are looked at together: measured on (b) of scripts/bench_reader.py, a window of
10,000 histograms at once takes twice as long."""

_SHARES = np.array(BAND_LEVELS[1:-1])


def _odd_numbers(count: int) -> UIntArray:
    """Returns odd 64-bit numbers without a pattern: splitmix64, https://prng.di.unimi.it.

    Not `numpy.random`: importing it takes longer than a small log.
    """
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ mixed >> np.uint64(31)) | np.uint64(1)


_ODD = _odd_numbers(1021)
"""Multipliers of `identity`, which has to be the same in every process."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """Columns of HistogramSeries for N histograms, in the order of `index`.

    Attributes:
      index: Which of the messages each row is, int64 `[N]`.
      moments: minimum, maximum, count, total and sum_squares, float64 `[N, 5]`.
      bands: float32 `[N, 9]`.
      identity: uint64 `[N]`.
      exact: Whether the framework wrote the moments, for all rows alike.
    """

    index: IntArray
    moments: FloatArray
    bands: npt.NDArray[np.float32]
    identity: UIntArray
    exact: bool


def from_scalars(values: FloatArray) -> Rows:
    """Statistics that were logged as one number each, float64 `[N]`."""
    ones = np.ones(len(values))
    moments = np.stack([values, values, ones, values, values * values], axis=1)
    bands = np.repeat(values.astype(np.float32)[:, None], len(BAND_LEVELS), axis=1)
    return Rows(np.arange(len(values)), moments, bands, _identity(values[:, None]), True)


def from_protos(
    buffer: Buffer, at: IntArray, end: IntArray, banded: bool, bad: dict[int, str]
) -> Iterator[Rows]:
    """Decodes HistogramProtos (TF1, PyTorch, tensorboardX).

    Args:
      buffer: Holds the messages.
      at: First byte of each, int64 `[N]`.
      end: Byte after each, int64 `[N]`.
      banded: Whether to compute the bands; NaN otherwise.
      bad: Takes messages that cannot be decoded, with the reason.
    """
    keys = (_MIN, _MAX, _NUM, _SUM, _SUM_SQUARES, _LIMITS, _COUNTS, _LIMIT, _COUNT)
    found = find_fields(buffer, at, end, keys)
    written = [buffer.doubles(found.last(key)[0]) for key in keys[:5]]
    moments = np.stack(written, axis=1)  # [N, 5]: HistogramProto and Rows have the same order
    limits_at, limits_bytes = found.last(_LIMITS)
    counts_at, counts_bytes = found.last(_COUNTS)
    odd = limits_bytes % 8 + counts_bytes % 8 > 0
    odd |= (found.last(_LIMIT)[0] >= 0) | (found.last(_COUNT)[0] >= 0)
    odd |= found.several([_LIMITS]) | found.several([_COUNTS]) | found.bad
    odd |= limits_bytes != counts_bytes
    size = limits_bytes // 8
    for which, widest in _classes(size, ~odd):
        limits = buffer.rows(limits_at[which], widest, "<f8")
        counts = buffer.rows(counts_at[which], widest, "<f8")
        if (size[which] < widest).any():
            behind = np.arange(widest) >= size[which][:, None]
            np.copyto(limits, 0, where=behind)
            np.copyto(counts, 0, where=behind)
        yield _summarise_proto(which, moments.take(which, axis=0), limits, counts, banded)
    loose = _loose_buckets(found, limits_bytes + counts_bytes == 0)
    for which, limits, counts in _rows_of_loose(buffer, found, loose):
        yield _summarise_proto(which, moments[which], limits, counts, banded)
    yield from _odd_protos(buffer, at, end, np.flatnonzero(odd & (loose == 0)), banded, bad)


def _loose_buckets(found: Fields, unpacked: npt.NDArray[np.bool_]) -> IntArray:
    """Returns how many buckets each HistogramProto has that writes them one by one; else 0."""
    limits, counts = (
        np.bincount(found.each(key)[0], minlength=len(unpacked)) for key in (_LIMIT, _COUNT)
    )
    usable = unpacked & (limits == counts) & ~found.bad
    return np.where(usable, limits, 0)


def _rows_of_loose(
    buffer: Buffer, found: Fields, loose: IntArray
) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Yields messages with buckets one by one, and their limits and counts, `[N, K]`."""
    if not loose.any():
        return
    for which, widest in _classes(loose, loose > 0):
        behind = np.arange(widest) >= loose[which][:, None]
        limits, counts = (
            np.where(behind, 0.0, _doubles_of(buffer, found, key, which, widest))
            for key in (_LIMIT, _COUNT)
        )
        yield which, limits, counts


def _doubles_of(buffer: Buffer, found: Fields, key: int, which: IntArray, count: int) -> FloatArray:
    """Returns the first fields of a key in some messages, then what follows, `[N, count]`."""
    message, at, _ = found.each(key)
    places = np.searchsorted(message, which)[:, None] + np.arange(count)
    values = buffer.doubles(at[np.minimum(places, len(at) - 1).ravel()])
    return values.reshape(len(which), count)


def _odd_protos(
    buffer: Buffer, at: IntArray, end: IntArray, which: IntArray, banded: bool, bad: dict[int, str]
) -> Iterator[Rows]:
    """Decodes HistogramProtos in unusual forms: buckets one by one or in parts, groups."""
    alike: dict[int, list[tuple[int, list[float], Any, Any]]] = {}
    for one in which.tolist():
        try:
            proto = protos.parse("Histo", buffer.data[at[one] : end[one]])
        except wire.DecodeError as error:
            bad[one] = f"malformed histogram: {error}"
            continue
        limits, counts = proto.bucket_limit, proto.bucket
        if len(limits) != len(counts):
            bad[one] = f"histogram of {len(limits)} limits and {len(counts)} counts"
            continue
        moments = [proto.min, proto.max, proto.num, proto.sum, proto.sum_squares]
        row = one, moments, np.array(limits, np.float64), np.array(counts, np.float64)
        alike.setdefault(len(limits), []).append(row)
    for rows in alike.values():
        index, moments_of, limits_of, counts_of = map(np.array, zip(*rows, strict=True))
        yield _summarise_proto(index, moments_of, limits_of, counts_of, banded)


def from_tensors(
    buffer: Buffer, at: IntArray, end: IntArray, banded: bool, bad: dict[int, str]
) -> Iterator[Rows]:
    """Decodes `[k, 3]` tensor histograms (TF2, Keras): left edge, right edge, count.

    Arguments as of `from_protos`. Until 2021 TensorBoard wrote one bucket `[v - 0.5, v + 0.5]` for
    n values that are all v: `when_singular` in
    https://github.com/tensorflow/tensorboard/blob/2.3.0/tensorboard/plugins/histogram/summary_v2.py
    """
    kinds = ((tensor.FLOAT, "<f4", _FLOATS), (tensor.DOUBLE, "<f8", _DOUBLES))
    keys = (_DTYPE, _SHAPE, _CONTENT, *(typed for _, _, typed in kinds), *_ONE_BY_ONE)
    found = find_fields(buffer, at, end, keys)
    rows = _rows_of_shapes(buffer, *found.last(_SHAPE))
    usual = (rows > 0) & ~(found.bad | found.several([_SHAPE]) | found.several(keys[2:]))
    rest = np.ones(len(at), bool)
    for dtype, code, typed in kinds:
        row_bytes = 3 * np.dtype(code).itemsize
        content_at, content_bytes = map(np.maximum, found.last(_CONTENT), found.last(typed))
        plain = (found.last(_DTYPE)[1] == dtype) & (content_bytes == rows * row_bytes) & usual
        rest &= ~plain
        for count in distinct(rows[plain]).tolist():
            for which in _blocks(np.flatnonzero(plain & (rows == count)), count):
                table = buffer.rows(content_at[which], count * 3, code)
                table = table.astype(np.float64, copy=False).reshape(-1, count, 3)
                yield _summarise_tensor(which, table, banded)
    yield from _odd_tensors(buffer, at, end, np.flatnonzero(rest), banded, bad)


def _odd_tensors(
    buffer: Buffer, at: IntArray, end: IntArray, which: IntArray, banded: bool, bad: dict[int, str]
) -> Iterator[Rows]:
    """Decodes tensors in unusual forms, or gives the reason why they are no histograms."""
    alike: dict[int, list[tuple[int, FloatArray]]] = {}
    for one in which.tolist():
        try:
            table = tensor.decode(buffer.data[at[one] : end[one]])
            if table.ndim != 2 or table.shape[1] != 3:
                raise wire.DecodeError(f"histogram tensor of shape {list(table.shape)}")
        except wire.DecodeError as error:
            bad[one] = str(error)
        else:
            alike.setdefault(len(table), []).append((one, table))
    for decoded in alike.values():
        index, tables = map(np.array, zip(*decoded, strict=True))
        yield _summarise_tensor(index, tables, banded)


def _classes(size: IntArray, usable: npt.NDArray[np.bool_]) -> Iterator[tuple[IntArray, int]]:
    """Yields the messages of about the same size, and that size rounded up to `_CLASS`."""
    rounded = -(-size // _CLASS) * _CLASS
    for widest in distinct(rounded[usable]).tolist():
        for which in _blocks(np.flatnonzero(usable & (rounded == widest)), widest):
            yield which, int(size[which].max())


def _blocks(which: IntArray, width: int) -> Iterator[IntArray]:
    """Yields histograms of so many buckets in blocks whose columns stay in the caches."""
    rows = max(_BLOCK // max(width, 1), 1)
    yield from (which[first : first + rows] for first in range(0, len(which), rows))


def _rows_of_shapes(buffer: Buffer, at: IntArray, size: IntArray) -> IntArray:
    """Returns k of each tensor shape `[k, 3]`, 0 of others and of those of more than 8 bytes."""
    rows = np.zeros(len(at), np.int64)
    short = np.flatnonzero((at >= 0) & (size > 0) & (size <= 8))
    words = buffer.words(at[short]) & np.uint64(0xFFFFFFFFFFFFFFFF) >> (
        64 - 8 * size[short]
    ).astype(np.uint64)
    for word in distinct(words).tolist():
        which = short[words == word]
        try:
            shape = tensor.shape(word.to_bytes(8, "little")[: size[which[0]]])
        except wire.DecodeError:
            continue  # decoded one by one, which gives the reason
        if len(shape) == 2 and shape[1] == 3 and shape[0] < _MAX_ROWS:
            rows[which] = shape[0]
    return rows


def _summarise_proto(
    index: IntArray, moments: FloatArray, limits: FloatArray, counts: FloatArray, banded: bool
) -> Rows:
    """Rows from the written moments `[N, 5]` and right edges and counts `[N, K]`."""
    identity = _identity(moments, limits, counts)
    moments = moments.copy()
    moments[~(moments[:, 2] > 0), :2] = np.nan  # the extremes of nothing are -DBL_MAX and DBL_MAX
    if not banded or not counts.shape[1]:
        return Rows(index, moments, _no_bands(len(index)), identity, True)
    low, high = moments[:, 0], moments[:, 1]
    at, part = _buckets_of_levels(counts)
    right = np.clip(limits.take(at), low, high)
    left = np.where(at % limits.shape[1] == 0, low, np.clip(limits.take(at - 1), low, high))
    return Rows(index, moments, _bands(left, right, part, low, high), identity, True)


def _summarise_tensor(index: IntArray, table: FloatArray, banded: bool) -> Rows:
    """Rows from left edges, right edges and counts `[N, K, 3]`."""
    count, buckets = table.shape[:2]
    identity = _identity(table.reshape(count, buckets * 3))
    left, right, counts = (np.ascontiguousarray(table[:, :, column]) for column in range(3))
    with np.errstate(invalid="ignore", over="ignore"):
        middle = left / 2 + right / 2
        if buckets == 1:
            single = np.abs(right - left - 1) < 1e-6  # see from_tensors
            left, right = np.where(single, middle, left), np.where(single, middle, right)
        weighted = counts * middle
        total, squares = weighted.sum(axis=1), (weighted * middle).sum(axis=1)
    filled = counts > 0
    row = np.arange(count)
    if buckets:
        first, last = filled.argmax(axis=1), buckets - 1 - filled[:, ::-1].argmax(axis=1)
        some = filled[row, first]
        low = np.where(some, left[row, first], np.nan)
        high = np.where(some, right[row, last], np.nan)
    else:
        low = high = np.full(count, np.nan)
    moments = np.stack([low, high, counts.sum(axis=1), total, squares], axis=1)
    if not banded or not buckets:
        return Rows(index, moments, _no_bands(count), identity, False)
    at, part = _buckets_of_levels(counts)
    bands = _bands(left.take(at), right.take(at), part, low, high)
    return Rows(index, moments, bands, identity, False)


def _no_bands(count: int) -> npt.NDArray[np.float32]:
    return np.full((count, len(BAND_LEVELS)), np.nan, np.float32)


def _buckets_of_levels(counts: FloatArray) -> tuple[IntArray, FloatArray]:
    """Returns the bucket in which each of the seven inner levels is, and how far inside it.

    Buckets are positions in the flat counts, int64 `[7, N]`; the way through a bucket is in
    `[0, 1]`, float64 `[7, N]`, and NaN where nothing is counted.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        counts = np.maximum(counts, 0)
        narrow = _narrowed(counts)
        upper = np.cumsum(narrow, axis=1, dtype=narrow.dtype)
        wanted = _SHARES[:, None] * upper[:, -1]
        levels = wanted if narrow is counts else np.floor(wanted).astype(narrow.dtype)
        at = np.stack([(upper > level[:, None]).argmax(axis=1) for level in levels])
        at += np.arange(0, counts.size, counts.shape[1])
        part = (wanted - upper.take(at)) / counts.take(at) + 1
        return at, np.where(upper[:, -1] > 0, part, np.nan)


def _narrowed(counts: FloatArray) -> npt.NDArray[Any]:
    """Returns counts as int32, which is faster, if they and their sums are such numbers."""
    small = counts.astype(np.int32)
    fits = counts.max() < (1 << 31) // counts.shape[1] and (small == counts).all()
    return small if fits else counts


def _bands(
    left: FloatArray, right: FloatArray, part: FloatArray, low: FloatArray, high: FloatArray
) -> npt.NDArray[np.float32]:
    """Returns the values at `BAND_LEVELS` as TensorBoard interpolates them, float32 `[N, 9]`.

    Edges of the levels' buckets and the way through them are `[7, N]`, extremes `[N]`. The formula
    is `compress_histogram_proto` of
    https://github.com/tensorflow/tensorboard/blob/2.15.0/tensorboard/plugins/distribution/compressor.py
    """
    bands = np.empty((len(low), len(BAND_LEVELS)), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        bands[:, 1:-1] = (left + part * (right - left)).T
        bands[:, 0], bands[:, -1] = low, high
    bands[~(np.isfinite(low) & np.isfinite(high) & ~np.isnan(part[0]))] = np.nan
    return bands


def _identity(*tables: FloatArray) -> UIntArray:
    """Returns a 64-bit hash of the bits of each row of some tables `[N, M]`.

    Columns of zeros at the end of a table do not count, so that its padding does not.
    """
    identity = np.zeros(len(tables[0]), np.uint64)
    for table in tables:
        words = np.ascontiguousarray(table).view(np.uint64)
        mixed = words >> np.uint64(31)
        mixed ^= words
        identity *= _ODD[-1]
        identity += np.einsum("nm,m->n", mixed, np.resize(_ODD, words.shape[1]))
    return identity ^ identity >> np.uint64(29)
