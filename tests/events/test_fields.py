"""Messages taken many at a time hold what a walk through each of them finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bn_tb.events import wire
from bn_tb.events.fields import PADDING, Buffer, find_fields, find_repeated
from bn_tb.events.tag_table import TagTable
from bn_tb.runs import tags

VALUE = wire.key(1, wire.BYTES)
FIELD = st.builds(
    lambda key, size: bytes([key]) + varint(size) + bytes(size),
    st.sampled_from([VALUE] * 9 + [wire.key(2, wire.BYTES)]),
    st.sampled_from([0, 1, 100, 127, 128, 129, 5000]),
)
MESSAGE = st.lists(FIELD, max_size=6).map(b"".join)


def varint(number: int) -> bytes:
    low = [number >> shift & 127 for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([part | 128 for part in low[:-1]] + low[-1:])


def joined(messages):
    ends = np.cumsum([len(message) for message in messages], dtype=np.int64)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return Buffer(b"".join(messages) + bytes(PADDING)), starts, ends


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(MESSAGE, MESSAGE, MESSAGE, st.binary(max_size=9)), min_size=1))
def test_following_lengths_finds_what_walking_field_by_field_finds(messages):
    buffer, starts, ends = joined(messages)
    quick = find_repeated(buffer, starts, ends, VALUE, 4)
    plain = find_fields(buffer, starts, ends, (VALUE,), 4)
    assert quick.bad.tolist() == plain.bad.tolist()
    for one, other in zip(quick.each(VALUE), plain.each(VALUE), strict=True):
        good = ~plain.bad[plain.each(VALUE)[0]]
        assert one[~quick.bad[quick.each(VALUE)[0]]].tolist() == other[good].tolist()


def test_fields_longer_than_two_bytes_can_tell_are_found():
    buffer, starts, ends = joined([bytes([VALUE]) + varint(20_000) + bytes(20_000)] * 20)
    message, at, size = find_repeated(buffer, starts, ends, VALUE, 4).each(VALUE)
    assert message.tolist() == list(range(20))
    assert (at - starts).tolist() == [4] * 20
    assert size.tolist() == [20_000] * 20


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 7, 8, 9, 63, 64, 65, 256, 257]), st.booleans())))
def test_tags_are_told_apart_by_length_and_last_byte(lengths):
    names = [b"x" * size + b"yz"[last : last + 1] for size, last in lengths]
    buffer, starts, ends = joined([b"", *names])
    table = TagTable(tags.TagPatterns())
    ids = table.identify(buffer, starts, ends - starts)
    assert [table.tags[one].name.encode() for one in ids] == [b"", *names]
    assert len(table.tags) == len({b"", *names})
