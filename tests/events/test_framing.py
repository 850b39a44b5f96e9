"""Records by the thousand: guessed offsets and common checksums are those of a plain loop."""

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bn_tb.events import combined_crc
from bn_tb.events.fields import PADDING
from bn_tb.events.framing import FRAME_BYTES, frame, frame_each
from bn_tb.sources.logdir import read_logdir
from tests.builders import event_bytes as eb


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
    assert frame(data + bytes(PADDING), len(data)).tolist() == plainly(data)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 1200))
def test_garbage_behind_records_is_taken_as_a_plain_loop_does(garbage, count):
    data = framed([24] * count) + garbage
    assert frame(data + bytes(PADDING), len(data)).tolist() == plainly(data)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=60), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 90), st.integers(0, 30)), min_size=1),
)
def test_records_of_files_that_follow_each_other_are_those_of_each_alone(kinds, drawn):
    files = []
    for kind, kept, cut in drawn:
        data = framed(kinds[kind % len(kinds)][:kept])
        files.append(data[: max(len(data) - cut, 0)] if cut < 10 else data)
    ends = np.cumsum([len(data) for data in files]).tolist()
    begins = [0, *ends]
    wanted = [at + one for data, at in zip(files, begins, strict=False) for one in plainly(data)]
    assert frame_each(b"".join([*files, bytes(PADDING)]), ends).tolist() == wanted


def checked(lengths, seed=0, rest=b""):
    payloads = [np.random.default_rng(seed + n).bytes(n) for n in lengths]
    data = b"".join(map(eb.record, payloads)) + rest
    ends = np.cumsum(np.array(lengths) + FRAME_BYTES)
    footers = np.array([int.from_bytes(data[end - 4 : end], "little") for end in ends], np.uint32)
    return data, np.array(lengths), footers


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6000), min_size=1, max_size=40), st.binary(max_size=50))
def test_intact_records_are_found_intact_together(lengths, rest):
    assert combined_crc.all_intact(*checked(lengths, rest=rest))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=40), st.data())
def test_a_flipped_bit_in_any_payload_is_found(lengths, draw):
    data, lengths, footers = checked(lengths)
    which = draw.draw(st.integers(0, len(lengths) - 1))
    start = int(np.sum(lengths[:which] + FRAME_BYTES)) + 12
    damaged = bytearray(data)
    damaged[start + draw.draw(st.integers(0, int(lengths[which]) - 1))] ^= 1 << draw.draw(
        st.integers(0, 7)
    )
    assert not combined_crc.all_intact(bytes(damaged), lengths, footers)


def test_one_damaged_record_among_thousands_is_the_only_one_left_out(tmp_path):
    records = [eb.summary(step, eb.scalar("loss", step)) for step in range(3000)]
    for hit in (0, 1234, 2999):
        damaged = bytearray(b"".join(records))
        damaged[sum(map(len, records[:hit])) + 20] ^= 4
        (run,) = read_logdir(eb.write(tmp_path, bytes(damaged)))
        assert run.files[0].status == "corrupt" and run.files[0].events == 3000
        assert sorted(set(range(3000)) - set(run.scalars["loss"].steps.tolist())) == [hit]
