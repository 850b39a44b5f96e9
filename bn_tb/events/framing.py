"""Where records start, guessed from their lengths and found faster where these repeat.

A training loop writes the same tags in the same order at every step, so the lengths of records
repeat with the period of a step; they change when the step's varint grows. Guessed offsets are
compared with the length fields in numpy; where a guess fails, records are taken one by one.

To change it:
- Invariant: `frame` returns exactly what following the length fields one by one returns, from the
  first byte on; a guessed offset counts only if the length field before it leads there.
- Fallback: `_one_by_one`, for the first `_FIRST_STRETCH` records and behind every wrong guess.
- What it buys: 40,000 records of 76 bytes are framed in 2.2 instead of 8.2 ms of processor time.
"""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bn_tb.runs.series import IntArray

FRAME_BYTES = 16  # of a record, beside its payload

_ALIKE = 16  # records that must repeat at least; fewer may be alike by chance
_FIRST_STRETCH = 512  # records to look for a period in
_LENGTH = struct.Struct("<Q")


def frame(data: bytes, size: int, at: int = 0) -> IntArray:
    """Returns where the whole records in `data[at:size]` start, from its first byte on, `[N]`.

    The lengths are taken as they are; their checksums are for the caller to verify.
    """
    lengths = _lengths(data, size)
    known, stretch = [np.zeros(0, np.int64)], _FIRST_STRETCH
    while True:
        starts, at, ended = _one_by_one(data, size, at, stretch)
        known.append(np.array(starts, np.int64))
        if ended:
            return np.concatenate(known)
        guessed = _repeat(lengths, known[-1], at, size)
        stretch = _FIRST_STRETCH if len(guessed) else 2 * stretch
        if len(guessed):
            known.append(guessed[:-1])
            at = int(guessed[-1])


def frame_each(data: bytes, ends: Sequence[int]) -> IntArray:
    """Like `frame` for files that follow each other and end at some bytes, int64 `[N]`.

    The records of each are guessed to be as long as those of the file before it: the runs of a
    sweep write the same tags. Where a file ends inside a record, there is a gap.
    """
    known, like, begin = list[IntArray](), np.zeros(0, np.int64), 0
    for end in ends:
        guess = like + begin
        guess = _right(_lengths(data, end), guess[: np.searchsorted(guess, end - 7)])
        rest = frame(data, end, int(guess[-1]) if len(guess) else begin)
        known += guess[:-1], rest
        like = np.concatenate(known[-2:]) - begin
        begin = end
    return np.concatenate(known)


def _lengths(data: bytes, size: int) -> npt.NDArray[np.void]:
    """Returns what each byte would tell if a record started there, 8 bytes `[size - 7]`."""
    return np.ndarray((max(size - 7, 0),), "V8", data, strides=(1,))


def _right(lengths: npt.NDArray[np.void], guess: IntArray) -> IntArray:
    """Returns the first of some starts, as long as one record leads to the next; none if 1."""
    told = lengths[guess].view("<u8")
    right = told[:-1] == (np.diff(guess) - FRAME_BYTES).view(np.uint64)
    good = len(right) if right.all() else int(np.argmin(right))
    return guess[: good + 1] if good else guess[:0]


def _one_by_one(data: bytes, size: int, at: int, count: int) -> tuple[list[int], int, bool]:
    """Returns starts of the next records, where the next one starts, and whether there is none."""
    starts: list[int] = []
    add, unpack = starts.append, _LENGTH.unpack_from
    last = size - FRAME_BYTES
    for _ in range(count):
        if at > last:
            return starts, at, True
        after = at + unpack(data, at)[0] + FRAME_BYTES
        if after > size:
            return starts, at, True
        add(at)
        at = after
    return starts, at, False


def _repeat(lengths: npt.NDArray[np.void], starts: IntArray, at: int, size: int) -> IntArray:
    """Returns starts of records behind `at` if the sizes of those before repeat, and one more."""
    period = _period(np.diff(starts, append=at))
    if not len(period):
        return period
    times = (size - at) // int(period.sum()) + 1
    guess = at + np.concatenate([[0], np.cumsum(np.tile(period, times))])
    return _right(lengths, guess[: np.searchsorted(guess, size - 7)])


def _period(sizes: IntArray) -> IntArray:
    """Returns the shortest stretch that the end of `sizes` holds twice in a row; empty if none."""
    for length in (np.flatnonzero(sizes[-2::-1] == sizes[-1]) + 1).tolist():
        if 2 * length > len(sizes):
            break
        period = sizes[-length:]
        if length >= _ALIKE and (period == sizes[-2 * length : -length]).all():
            return period
    return sizes[:0]
