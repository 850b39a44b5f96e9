"""Any bytes are read as checkpoints without an exception; a longer run is in BUILD.md."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bn_tb.checkpoints import pickle_machine, torch_alike, torch_names
from bn_tb.checkpoints.contents import CheckpointError
from bn_tb.checkpoints.torch_values import build, storage_of
from tests import fuzz_targets
from tests.builders import checkpoint_bytes as cb
from tests.builders import event_bytes as eb

NAMES = ["bn.running_mean", "bn.running_var"]
STATE = cb.torch_state(NAMES)
STORAGES = [np.ones(3, "<f4").tobytes()] * 2
TENSORS = {name: ("F32", np.ones(3, np.float32)) for name in NAMES}


def keras_h5():
    h5py = pytest.importorskip("h5py")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number in range(4):
            file[f"layers/batch_normalization/vars/{number}"] = np.ones(4, np.float32)
    return buffer.getvalue()


FILES = [
    cb.torch_zip(STATE, STORAGES),
    cb.torch_stream(STATE, ["0", "1"], STORAGES),
    cb.safetensors(TENSORS),
    cb.bundle({"bn/moving_mean": [0.0], "bn/moving_variance": [1.0]})[0],
    keras_h5(),
]
ENTRY = eb.field(1, 1) + eb.field(2, eb.field(2, eb.field(1, 2))) + eb.field(5, 8)


@st.composite
def mutated(draw, seeds):
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        data = data or bytearray(b"x")
    return bytes(data)


@settings(max_examples=200, deadline=None)
@given(st.one_of(mutated(FILES), st.binary(max_size=100)))
def test_any_bytes_are_read_as_a_checkpoint(data):
    fuzz_targets.fuzz_checkpoint(data)


@settings(max_examples=150, deadline=None)
@given(st.one_of(mutated([STATE, pickle.dumps({"a": [1, (2.5, b"x")]}, 4)]), st.binary()))
def test_any_bytes_are_read_as_a_pickle(data):
    fuzz_targets.fuzz_pickle(data)


@settings(max_examples=150, deadline=None)
@given(st.one_of(mutated([ENTRY, ENTRY + eb.field(7, eb.field(1, b""))]), st.binary(max_size=60)))
def test_any_bytes_are_read_as_entries_of_a_table(data):
    fuzz_targets.fuzz_table(data)


def found_alone(pickled):
    try:
        return repr(torch_names.find(pickle_machine.load(pickled, 0, build, storage_of)[0]))
    except CheckpointError as error:
        return str(error)


def found_after(seed, pickled):
    pickles = torch_alike.Pickles()
    pickles.found_in(seed)
    try:
        return repr(pickles.found_in(pickled))
    except CheckpointError as error:
        return str(error)


COUNTED = pickle.dumps({"epoch": 3, "loss": 0.5, "optimizer": {"state": {0: {"step": 5}}}}, 2)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([STATE, COUNTED]), st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_a_pickle_like_the_one_before_says_what_it_says_alone(seed, place, other):
    at = place % len(seed)
    pickled = (seed[:at] + other + seed[at + len(other) :])[: len(seed)]
    assert found_after(seed, pickled) == found_alone(pickled)
