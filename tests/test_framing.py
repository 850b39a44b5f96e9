"""Guessed record offsets are those that a plain loop finds, whatever the lengths do."""

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bn_tb.events.framing import FRAME_BYTES, frame


def plainly(data: bytes) -> list[int]:
    starts, at = [], 0
    while at + FRAME_BYTES <= len(data):
        after = at + FRAME_BYTES + struct.unpack_from("<Q", data, at)[0]
        if after > len(data):
            break
        starts.append(at)
        at = after
    return starts


def framed(lengths) -> bytes:
    return b"".join(struct.pack("<Q", n) + bytes(8 + n) for n in lengths)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=150),
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3)), max_size=4),
    st.integers(0, 60),
)
def test_starts_are_those_of_a_plain_loop(period, times, changes, cut):
    lengths = np.tile(period, times)
    for at, by in changes:
        lengths[at % len(lengths) :] += by
    data = framed(lengths.tolist())
    data = data[: len(data) - cut]
    assert frame(data).tolist() == plainly(data)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 1200))
def test_garbage_behind_records_is_taken_as_a_plain_loop_does(garbage, count):
    data = framed([24] * count) + garbage
    assert frame(data).tolist() == plainly(data)
