"""Any bytes are read without an exception; a longer run is in BUILD.md."""

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import fuzz_targets
from tests.builders import event_bytes as eb
from tests.places import ROOT, unmeasured

SEEDS = [
    eb.summary(1, eb.scalar("loss", 1.0), eb.histogram("bn/moving_mean", [0.0, 1.0, 1.0])),
    eb.summary(2, eb.tensor_histogram("bn/moving_mean", [(0.0, 1.0, 2.0), (1.0, 2.0, 0.0)])),
    eb.event(eb.field(7, eb.field(1, 1)), eb.field(4, b"graph")),
]

field = st.builds(
    lambda number, value: eb.field(number, value),
    st.integers(1, 20),
    st.one_of(st.integers(-3, 1 << 64), st.floats(), st.binary(max_size=40)),
)


def nested(children):
    return st.builds(eb.field, st.integers(1, 10), st.lists(children, max_size=4).map(b"".join))


messages = st.recursive(field, nested, max_leaves=12)


@st.composite
def mutated(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        data = data or bytearray(b"x")
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), mutated()))
def test_any_bytes_are_read_as_a_file(data):
    fuzz_targets.fuzz_file(data)


EMPTY_PACKED_FIELD = bytes.fromhex("00080883003200")  # found by atheris


@settings(max_examples=60, deadline=None)
@example(EMPTY_PACKED_FIELD)
@given(st.one_of(messages, mutated().map(lambda data: data[12:-4]), st.binary(max_size=60)))
def test_any_message_is_decoded_alike_alone_and_in_company(data):
    fuzz_targets.fuzz_event(data)


@settings(max_examples=100, deadline=None)
@given(st.one_of(messages, st.binary(max_size=200)))
def test_any_bytes_are_read_as_a_graph(data):
    fuzz_targets.fuzz_graph(data)


@pytest.mark.parametrize(("target", "runs"), [("file", 300), ("event", 40), ("graph", 300)])
def test_libfuzzer_finds_nothing_in_a_short_run(target, runs, tmp_path):
    pytest.importorskip("atheris")
    for number, seed in enumerate(SEEDS):
        (tmp_path / str(number)).write_bytes(seed if target == "file" else seed[12:-4])
    command = [
        sys.executable,
        str(ROOT / "tests/fuzz_targets.py"),
        target,
        f"-runs={runs}",
        "-seed=1",
    ]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**unmeasured(), "PYTHONHASHSEED": "0"},  # coverage takes the memory it is held to
    )
    assert done.returncode == 0, done.stderr[-3000:]
