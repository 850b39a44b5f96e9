"""Files that lie: one clear line each, in little time and memory; nothing else fails with them."""

import contextlib
import io
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import bn_tb
from bn_tb.checkpoints import formats
from bn_tb.checkpoints.contents import CheckpointError
from bn_tb.checkpoints.snapshot import snapshot_of
from tests.builders import checkpoint_bytes as cb
from tests.builders import event_bytes as eb

MEAN = {"bn/moving_mean": [0.0, 1.0], "bn/moving_variance": [1.0, 2.0]}
MOST_MEMORY = 64 << 20
NAMES = ["bn.running_mean", "bn.running_var"]


class Bytes:
    """A file in memory; what lies behind its bytes is zero, as far as its size says."""

    def __init__(self, data, size=None):
        self.data, self.size = data, len(data) if size is None else size

    def read(self, offset, length):
        """Returns a range, as `RangeFile` does."""
        length = max(min(length, self.size - offset), 0)
        found = self.data[offset : offset + length]
        return found + bytes(length - len(found))


def snapshot(data, shard=None, size=None):
    shards = None if shard is None else lambda at, count: Bytes(shard)
    return snapshot_of(formats.read(Bytes(data, size), shards))


def with_table_end(data):
    return data[:-8] + cb.TABLE_MAGIC


def nested(opcode, close, depth=200_000):
    return b"\x80\x02" + opcode * depth + close * depth + b"."


def huge_zip():
    """Returns an archive whose directory says that it holds a billion members."""
    whole = cb.torch_zip(b"\x80\x02}.")
    return whole[:-14] + struct.pack("<HHIIH", 0xFFFF, 0xFFFF, 0xFFFFFFF0, 0, 0)


def bomb():
    """Returns an archive whose pickle unpacks to a gigabyte."""
    buffer = io.BytesIO()
    archive = zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("a/data.pkl", "w", force_zip64=True) as member:
        for _ in range(1024):
            member.write(bytes(1 << 20))
    return buffer.getvalue()


def memo_bomb():
    """Returns a pickle whose lists hold each other, 2**60 paths to its end."""
    body = b"\x80\x02]q\0"
    for at in range(60):
        body += b"](h" + bytes([at]) + b"h" + bytes([at]) + b"eq" + bytes([at + 1])
    return body + b"."


def shared_tuples_as_key():
    body = b"\x80\x02}K\1q\x000"
    for at in range(60):
        body += b"h" + bytes([at]) + b"h" + bytes([at]) + b"\x86q" + bytes([at + 1]) + b"0"
    return body + b"h" + bytes([60]) + b"Ns."


ZIP = cb.torch_zip(cb.torch_state(NAMES), [np.ones(3, "<f4").tobytes()] * 2)
INDEX, DATA = cb.bundle(MEAN)

REFUSED = {
    "nothing at all": (b"", "empty file"),
    "text": (b"hello, world, this is no checkpoint", "no checkpoint of a format that is known"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "the first half of an archive": (ZIP[: len(ZIP) // 2], "cut off or damaged"),
    "an archive of something else": (
        cb.torch_zip(b"").replace(b"data.pkl", b"data.txt"),
        r"not of torch\.save",
    ),
    "an archive of a billion members": (huge_zip(), "damaged|larger"),
    "an archive that unpacks to a gigabyte": (bomb(), "a member of 1073741824 bytes"),
    "a tensor that the archive lacks": (cb.torch_zip(cb.torch_state(NAMES)), "not in the archive"),
    "a tensor larger than its storage": (
        cb.torch_zip(cb.torch_state(NAMES, 1000), [bytes(12)] * 2),
        "of which the file holds 12",
    ),
    "an unknown opcode": (cb.torch_zip(b"\x80\x02\xff."), "not a pickle"),
    "a pickle without end": (cb.torch_zip(b"\x80\x02}"), "cut off"),
    "a pickle that takes from nothing": (cb.torch_zip(b"\x80\x02R."), "not a sound pickle"),
    "a number of a million digits": (cb.torch_zip(b"L" + b"9" * 10**6 + b"L\n."), "digits"),
    "a string of 10 GB": (cb.torch_zip(b"\x8d" + struct.pack("<Q", 10**10) + b"a."), "cut off"),
    "a stream that ends in its pickles": (cb.torch_stream(b"\x80\x02}.")[:-3], "cut off"),
    "a table with a wrong checksum": (
        INDEX.replace(b"moving_mean", b"moving_meen"),
        "no checkpoint, or damaged|checksum is wrong",
    ),
    "a table compressed with Snappy": (cb.table({b"": b""}, kind=1), "Snappy"),
    "a table whose index lies nowhere": (
        with_table_end(b"\0\0\xff\xff\xff\xff\1\1".ljust(48, b"\0")),
        "lies nowhere|cut off",
    ),
    "a table of something else": (cb.table({b"key": b"value"}), "does not list tensors"),
    "a header of 2**60 bytes": (struct.pack("<Q", 1 << 60) + b"{}", "no checkpoint of a format"),
    "a header that is no JSON": (cb.safetensors_of(b"{nothing"), "no JSON"),
    "a header nested a million deep": (cb.safetensors_of(b'{"a":' * 10**6), "no JSON"),
    "a tensor of 10 GB": (
        cb.safetensors_of(
            b'{"bn.running_mean": {"dtype": "F32", "shape": [99999], "data_offsets": [0, 9]},'
            b' "bn.running_var": {"dtype": "F32", "shape": [3], "data_offsets": [0, 99]}}'
        ),
        "of which the file holds",
    ),
    "HDF5 that ends after its first bytes": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_lies_is_refused_in_one_line(name):
    data, message = REFUSED[name]
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=message) as raised:
            snapshot(data)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert "\n" not in str(raised.value)


INDEXES = {
    "a shard that is not there": (cb.bundle(MEAN, shard=7)[0], "data file 7 of 1"),
    "an offset beyond the end": (cb.bundle(MEAN, offset=1 << 50)[0], "cut off or damaged"),
    "a size beyond the end": (cb.bundle(MEAN, size=1 << 40)[0], "that says 1099511627776"),
    "a size that is too small": (cb.bundle(MEAN, size=4)[0], "that says 4"),
    "half an index": (INDEX[:50], "does not end as a TensorFlow index"),
    "big-endian": (cb.table({b"": eb.field(2, 1)}), "big-endian"),
    "an entry that does not decode": (cb.table({b"a": b"\xff" * 12}), "does not decode"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_lies_is_refused_in_one_line(name):
    index, message = INDEXES[name]
    with pytest.raises(CheckpointError, match=message):
        snapshot(index, DATA)


@pytest.mark.parametrize(
    "pickled",
    [nested(b"]", b"a"), nested(b"(", b"t"), nested(b"}K\1", b"s"), nested(b")", b"\x85")],
    ids=["lists", "tuples", "dictionaries", "stacked"],
)
def test_a_pickle_nested_deep_is_read_or_refused(pickled):
    with contextlib.suppress(CheckpointError):
        assert snapshot(cb.torch_zip(pickled)).tags == ()


@pytest.mark.parametrize("pickled", [memo_bomb(), shared_tuples_as_key()], ids=["lists", "keys"])
def test_what_is_shared_is_gone_through_once(pickled):
    assert snapshot(cb.torch_zip(pickled)).tags == ()


def test_a_pickle_that_holds_itself_is_read():
    itself = []
    itself.append(itself)
    assert snapshot(cb.torch_zip(pickle.dumps({"a": itself}, 2))).tags == ()


def test_a_channel_is_not_taken_for_a_weight_of_gigabytes():
    header = (
        b'{"bn.running_mean": {"dtype": "F32", "shape": [4000000000], "data_offsets": [0, 16]}}'
    )
    assert snapshot(cb.safetensors_of(header)).tags == ()


@pytest.mark.parametrize("cut", range(0, len(ZIP), 37))
def test_an_archive_cut_anywhere_is_refused(cut):
    with pytest.raises(CheckpointError):
        snapshot(ZIP[:cut])


def test_hdf5_does_not_reach_into_other_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["bn/moving_variance"] = np.ones(4)
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["bn/moving_variance"] = h5py.ExternalLink("other.h5", "/bn/moving_variance")
        where = [(str(tmp_path / "secret"), 0, 16)]
        file.create_dataset("bn/moving_mean", (4,), "f4", external=where)
        file["bn/gamma"] = np.ones(4)
    data = (tmp_path / "model.h5").read_bytes()
    assert list(formats.read(Bytes(data)).tensors) == ["bn/gamma"]


def test_a_bad_checkpoint_costs_no_other(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"\xff" * 2000)
    (tmp_path / "b.pth").write_bytes(ZIP)
    (run,) = bn_tb.read_logdir(tmp_path)
    assert [file.status for file in run.files] == ["corrupt", "ok"]
    assert set(run.histograms) == set(NAMES)
