"""Broken and hostile event files: one line of cause, everything else read, no crash."""

import dataclasses
import os
import struct
import time

import numpy as np
import pytest

import bn_tb
from bn_tb.errors import UsageError
from bn_tb.events import event_file, run_reader, tf_record
from bn_tb.events.masked_crc import masked_crc
from bn_tb.files import local
from bn_tb.runs.run import FileReport, Run
from bn_tb.sources.logdir import read_logdir
from tests.builders import event_bytes as eb

RECORDS = [eb.VERSION] + [
    eb.summary(step, eb.scalar("loss", 0.5), eb.histogram("bn/moving_mean", [step, 2.0, 3.0]))
    for step in range(6)
]
DATA = b"".join(RECORDS)
STARTS = np.cumsum([0, *map(len, RECORDS)]).tolist()


def read(tmp_path, data):
    (run,) = read_logdir(eb.write(tmp_path, data))
    (report,) = run.files
    steps = run.scalars["loss"].steps.tolist() if run.scalars else []
    if "bn/moving_mean" in run.histograms:
        assert run.histograms["bn/moving_mean"].steps.tolist() == steps
    return steps, report


def test_a_file_cut_at_any_byte_gives_all_whole_records_and_says_where_it_ends(tmp_path):
    for end in range(len(DATA)):
        steps, report = read(tmp_path, DATA[:end])
        whole = sum(start <= end for start in STARTS[1:])
        assert steps == list(range(max(whole - 1, 0))), end
        assert report.status == ("ok" if end in STARTS[1:] else "truncated"), end
        if report.status == "truncated" and end:
            assert report.detail.startswith(f"byte {STARTS[whole]}: file ends after "), end
        assert (report.bytes, report.events) == (end, whole)


def test_a_flipped_bit_anywhere_costs_its_record_or_in_a_header_what_follows(tmp_path):
    for at in range(len(DATA)):
        data = bytearray(DATA)
        data[at] ^= 1 << at % 8
        hit = max(n for n, start in enumerate(STARTS) if start <= at)
        in_header = at - STARTS[hit] < 12
        steps, report = read(tmp_path, bytes(data))
        all_steps = list(range(-1, 6))
        good = all_steps[:hit] if in_header else all_steps[:hit] + all_steps[hit + 1 :]
        assert steps == [step for step in good if step >= 0], at
        assert report.status == ("not_event_file" if in_header and hit == 0 else "corrupt"), at
        assert report.detail.startswith(f"byte {STARTS[hit]}: "), at


def bad_event(content: bytes) -> bytes:
    """A record with good checksums around anything."""
    return eb.record(content)


def nested(depth: int) -> bytes:
    message = b""
    for _ in range(depth):
        message = eb.field(5, message)
    return message


def tensor_of(shape: bytes, content: bytes, dtype: int = 2) -> bytes:
    proto = eb.field(1, dtype) + eb.field(2, shape) + eb.field(4, content)
    return eb.summary(9, eb.tensor("x/moving_mean", "histograms", proto))


def dims(*sizes: int) -> bytes:
    return b"".join(eb.field(2, eb.field(1, size)) for size in sizes)


def uneven(limits: int, counts: int, packed: bool = True) -> bytes:
    """A histogram of a moving mean whose limits and counts differ in number."""
    proto = b"".join(eb.field(number, 1.0) for number in range(1, 6))
    for number, count in ((6, limits), (7, counts)):
        if packed:
            proto += eb.field(number, struct.pack(f"<{count}d", *range(count)))
        else:
            proto += eb.field(number, 1.0) * count
    return eb.field(1, b"x/moving_mean") + eb.field(5, proto)


HOSTILE_RECORDS = {
    "garbage": bad_event(bytes(range(256)) * 3),
    "unknown wire type": bad_event(b"\x0f\x01"),
    "endless varint": bad_event(b"\x10" + b"\xff" * 40),
    "a step of eleven bytes": bad_event(b"\x10" + b"\x80" * 10 + b"\x01"),
    "a field longer than its message": bad_event(eb.varint(5 << 3 | 2) + eb.varint(1 << 62)),
    "a field of 2**64 - 1 bytes": bad_event(eb.varint(5 << 3 | 2) + eb.varint(-1)),
    "a summary that is cut": bad_event(eb.field(5, b"\x0a\x7f\x00")),
    "a value that is cut": bad_event(eb.field(5, eb.field(1, b"\x0a\x20abc"))),
    "a histogram that is cut": eb.summary(
        9, eb.field(1, b"x/moving_mean") + eb.field(5, b"\x32\x7f")
    ),
    "a histogram of seven bytes": eb.summary(
        9, eb.field(1, b"x/moving_mean") + eb.field(5, eb.field(6, b"1234567"))
    ),
    "three limits and two counts": eb.summary(9, uneven(3, 2)),
    "no limits and two counts": eb.summary(9, uneven(0, 2)),
    "three limits and two counts, not packed": eb.summary(9, uneven(3, 2, packed=False)),
    "shape larger than content": tensor_of(dims(30, 3), bytes(8)),
    "billions of elements": tensor_of(dims(1 << 40, 3), bytes(24)),
    "elements beyond int64": tensor_of(dims(1 << 62, 1 << 62, 3), bytes(24)),
    "a negative size": tensor_of(dims(-1, 3), bytes(24)),
    "a histogram of four columns": tensor_of(dims(2, 4), bytes(64)),
    "a histogram of one dimension": tensor_of(dims(3), bytes(24)),
    "unknown dtype": tensor_of(dims(1, 3), bytes(24), dtype=99),
    "strings as a histogram": tensor_of(dims(1, 3), b"", dtype=7),
    "a scalar tensor of two": eb.summary(
        9, eb.tensor("x", "scalars", eb.field(1, 2) + eb.field(2, dims(2)) + eb.field(4, bytes(16)))
    ),
}


@pytest.mark.parametrize("name", HOSTILE_RECORDS)
def test_an_undecodable_record_is_left_out_and_reported(name, tmp_path):
    for copies in (1, 40):  # alone it is decoded in a loop, in company by numpy
        data = b"".join([*RECORDS[:3], *[HOSTILE_RECORDS[name]] * copies, *RECORDS[3:]])
        steps, report = read(tmp_path, data)
        assert steps == list(range(6))
        assert report.status == "corrupt"
        assert report.detail.startswith(f"byte {STARTS[3]}: ")
        assert report.detail.endswith("left out (40 in all)" if copies > 1 else " left out")
        assert "\n" not in report.detail


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("text", b"#!/bin/sh\necho this is no event file\n" * 9, "not_event_file"),
        ("zeros", bytes(1 << 20), "not_event_file"),
        ("short text", b"hello", "truncated"),
        ("empty", b"", "truncated"),
        (
            "a length of 2**63",
            struct.pack("<Q", 1 << 63)
            + struct.pack("<I", masked_crc(struct.pack("<Q", 1 << 63)))
            + b"x",
            "truncated",
        ),
    ],
)
def test_a_file_without_records_says_what_it_is(name, data, status, tmp_path):
    steps, report = read(tmp_path, data)
    assert (steps, report.status) == ([], status)
    assert report.detail and "\n" not in report.detail


def test_a_length_of_2_to_the_63_within_a_file_ends_it(tmp_path):
    length = struct.pack("<Q", 1 << 63)
    header = length + struct.pack("<I", masked_crc(length))
    steps, report = read(tmp_path, DATA + header + bytes(100))
    assert (steps, report.status) == (list(range(6)), "truncated")


def test_folders_and_pipes_named_like_event_files_are_not_opened(tmp_path):
    eb.write(tmp_path / "run", DATA)
    os.mkfifo(tmp_path / "run/pipe.tfevents")
    (tmp_path / "run/folder.tfevents").mkdir()
    (run,) = read_logdir(tmp_path)
    assert {report.status for report in run.files} == {"ok", "not_event_file"}
    assert any("is a pipe" in report.detail for report in run.files)
    assert run.last_step == 5


def test_a_vanished_and_a_forbidden_file_cost_only_themselves(tmp_path, monkeypatch):
    gone = eb.write(tmp_path, DATA, "a.tfevents")
    locked = eb.write(tmp_path, DATA, "b.tfevents")
    eb.write(tmp_path, DATA, "c.tfevents")
    real = open

    def guarded(path, *args, **kwargs):
        if path == gone:
            raise FileNotFoundError(2, "No such file or directory", path)
        if path == locked:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(local, "open", guarded, raising=False)
    (run,) = read_logdir(tmp_path)
    assert [report.status for report in run.files] == ["not_event_file", "not_event_file", "ok"]
    assert [report.detail for report in run.files[:2]] == [
        "cannot be read: No such file or directory",
        "cannot be read: Permission denied",
    ]
    assert run.scalars["loss"].steps.tolist() == list(range(6))


def test_a_file_that_shrinks_while_it_is_read_is_truncated(tmp_path, monkeypatch):
    path = eb.write(tmp_path, DATA)
    real = event_file.read_window

    def shrinking(file, offset, size):
        os.truncate(path, 30)
        return real(file, offset, size)

    monkeypatch.setattr(event_file, "read_window", shrinking)
    (run,) = read_logdir(path)
    assert run.files[0].status == "truncated" and not run.scalars


def test_records_left_out_are_counted_over_the_windows_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tf_record, "WINDOW_BYTES", 1 << 10)
    broken = bytearray(RECORDS[1])
    broken[-1] ^= 1
    data = b"".join([*RECORDS, bytes(broken), HOSTILE_RECORDS["garbage"]] * 20)
    (run,) = read_logdir(eb.write(tmp_path, data))
    assert run.files[0].detail.endswith("record left out (40 in all)")


def test_many_files_are_judged_in_a_time_that_grows_with_their_number(tmp_path):
    def cost(files):
        reports = tuple(FileReport(f"{n}.tfevents", 0, 0, "truncated") for n in range(files))
        run = Run(".", "logs", reports)
        start = time.process_time()
        (diagnosis,) = bn_tb.diagnose([run])
        spent = time.process_time() - start
        assert f"and so {files - 1} more" in diagnosis.findings[0].message
        return spent

    few = min(cost(2_000) for _ in range(3))
    assert cost(20_000) < 40 * few  # quadratic: 100


def test_a_folder_that_cannot_be_listed_is_reported_as_a_run(tmp_path, monkeypatch):
    eb.write(tmp_path / "a", DATA)
    eb.write(tmp_path / "b", DATA)
    real = os.scandir

    def guarded(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    locked, fine = read_logdir(tmp_path)
    assert locked.files[0].detail == "cannot list the folder: Permission denied"
    assert fine.last_step == 5


def test_symbolic_links_are_followed_once_and_without_loops(tmp_path):
    eb.write(tmp_path / "logs/run", DATA)
    eb.write(tmp_path / "elsewhere/deep", DATA)
    (tmp_path / "logs/loop").symlink_to(tmp_path / "logs")
    (tmp_path / "logs/latest").symlink_to(tmp_path / "logs/run")
    (tmp_path / "logs/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "logs/broken").symlink_to(tmp_path / "nowhere")
    assert [run.name for run in read_logdir(tmp_path / "logs")] == ["linked/deep", "run"]


def test_a_path_that_does_not_exist_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="nowhere: no such file or folder"):
        list(read_logdir(tmp_path / "nowhere"))


def test_tags_with_escapes_and_invalid_utf8_stay_apart_and_are_text(tmp_path):
    tags = [b"\x1b[31mred/moving_mean", b"\xff\xfe/moving_mean", b"\xfe\xff/moving_mean", b"a\x00b"]
    values = [eb.field(1, tag) + b"\x15" + struct.pack("<f", 1.0) for tag in tags]
    (run,) = read_logdir(eb.write(tmp_path, eb.VERSION + eb.summary(1, *values)))
    assert len(run.scalars) == 4
    assert r"\xff\xfe/moving_mean" in run.scalars


def test_deep_nesting_is_not_descended_into(tmp_path):
    steps, report = read(tmp_path, DATA + bad_event(nested(5000)) * 20)
    assert (steps, report.status) == (list(range(6)), "ok")


def test_twenty_thousand_tags_are_read(tmp_path):
    values = [eb.scalar(f"layer{n}/moving_mean", n) for n in range(20_000)]
    (run,) = read_logdir(eb.write(tmp_path, eb.VERSION + eb.summary(1, *values) * 3))
    assert len(run.scalars) == len(run.histograms) == 20_000


def test_a_summary_of_a_million_empty_values_is_left_out(tmp_path):
    huge = eb.event(eb.field(5, b"\x0a\x00" * 1_000_000))
    steps, report = read(tmp_path, DATA + huge)
    assert (steps, report.status) == (list(range(6)), "corrupt")


def test_a_record_larger_than_a_window_is_read(tmp_path, monkeypatch):
    graph = eb.event(eb.field(4, os.urandom(9 << 20)))
    (run,) = read_logdir(eb.write(tmp_path, DATA + graph + RECORDS[1] + graph))
    assert [len(graph.data) for graph in run.graphs] == [9 << 20]  # the same one twice is one
    assert run.scalars["loss"].steps.tolist() == [0, 1, 2, 3, 4, 5, 0]


def test_graphs_beyond_the_limit_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(run_reader, "_MAX_GRAPH_BYTES", 250)
    graphs = [eb.event(eb.field(4, bytes([n]) * 100)) for n in range(4)]
    (run,) = read_logdir(eb.write(tmp_path, b"".join(graphs)))
    assert [graph.data[0] for graph in run.graphs] == [0, 1]


def test_an_event_file_as_logdir_is_the_run_dot(tmp_path):
    path = eb.write(tmp_path, DATA)
    (run,) = read_logdir(path)
    assert (run.name, run.logdir) == (".", path)


def test_runs_of_several_logdirs_come_in_order_with_experiments_together(tmp_path):
    for name in ("x/b/train", "x/a", "x/b/test", "x/train/c", "x/b2", "x/test/c", "y/a"):
        eb.write(tmp_path / name, DATA)
    runs = list(read_logdir([tmp_path / "y", tmp_path / "x"]))
    assert [run.name for run in runs] == [
        *["a", "a", "b/test", "b/train", "b2", "test/c", "train/c"]
    ]


def test_sessions_are_files_and_restarts_inside_them(tmp_path):
    start = eb.event(eb.field(7, eb.field(1, 1)), step=3, wall_time=7.0)
    eb.write(
        tmp_path, eb.VERSION + start + RECORDS[1] + RECORDS[2] + start + RECORDS[2], "1.tfevents"
    )
    eb.write(tmp_path, eb.VERSION + start, "2.tfevents")
    (run,) = read_logdir(tmp_path)
    assert [os.path.basename(s.path)[0] for s in run.sessions] == ["1", "1", "2"]
    assert [(s.step, s.wall_time) for s in run.sessions] == [(0, 1.6e9), (1, 7.0), (None, 1.6e9)]


def test_negative_steps_and_zero_fields_left_out_are_read(tmp_path):
    values = eb.scalar("loss", 0.0), eb.histogram("bn/moving_mean", [0.0, 0.0])
    data = eb.VERSION + eb.summary(-5, *values)
    (run,) = read_logdir(eb.write(tmp_path, data * 30))
    series = run.histograms["bn/moving_mean"]
    assert set(series.steps) == {-5} == {run.first_step}
    assert not series.minimum.any() and not series.maximum.any()


def test_unpacked_buckets_are_read_as_packed_ones(tmp_path):
    packed = eb.histogram("bn/moving_mean", [1.0, 2.0])
    loose = b"".join(eb.field(6, v) + eb.field(7, 1.0) for v in (1.0, 2.0))
    moments = b"".join(eb.field(n, v) for n, v in enumerate((1.0, 2.0, 2.0, 3.0, 5.0), start=1))
    unpacked = eb.field(1, b"bn/moving_mean") + eb.field(5, moments + loose)
    (run,) = read_logdir(eb.write(tmp_path, eb.summary(1, packed) + eb.summary(2, unpacked)))
    series = run.histograms["bn/moving_mean"]
    assert series.identity[0] == series.identity[1]
    assert series.bands[0].tolist() == series.bands[1].tolist()


def test_unpacked_buckets_of_many_numbers_are_those_of_packed_ones(tmp_path):
    """Twenty at once are read in columns, of which some are longer than others."""
    steps = range(1, 21)
    values = [[float(n) for n in range(1 + step % 7)] for step in steps]

    def unpacked(numbers):
        ends = b"".join(eb.field(6, value) + eb.field(7, 1.0) for value in numbers)
        moments = [numbers[0], numbers[-1], len(numbers), sum(numbers), sum(n * n for n in numbers)]
        written = b"".join(eb.field(n, float(v)) for n, v in enumerate(moments, start=1))
        return eb.field(1, b"bn/moving_mean") + eb.field(5, written + ends)

    def series(name, value):
        data = b"".join(eb.summary(*each) for each in zip(steps, map(value, values), strict=True))
        (run,) = read_logdir(eb.write(tmp_path / name, data))
        assert run.files[0].status == "ok"
        return run.histograms["bn/moving_mean"]

    packed = series("packed", lambda numbers: eb.histogram("bn/moving_mean", numbers))
    loose = series("unpacked", unpacked)
    for field in dataclasses.fields(packed):
        np.testing.assert_array_equal(getattr(packed, field.name), getattr(loose, field.name))


def test_typed_tensors_are_read_as_their_content(tmp_path):
    rows = [(0.0, 1.0, 3.0), (1.0, 2.0, 0.0), (2.0, 4.0, 5.0)]
    flat = [number for row in rows for number in row]
    typed = eb.field(1, 2) + eb.field(2, dims(3, 3)) + eb.field(6, struct.pack("<9d", *flat))
    floats = eb.field(1, 1) + eb.field(2, dims(3, 3)) + eb.field(5, struct.pack("<9f", *flat))
    data = eb.summary(1, eb.tensor_histogram("bn/moving_mean", rows))
    data += eb.summary(2, eb.tensor("bn/moving_mean", "histograms", typed))
    data += eb.summary(3, eb.tensor("bn/moving_mean", "histograms", floats))
    (run,) = read_logdir(eb.write(tmp_path, data))
    series = run.histograms["bn/moving_mean"]
    assert len(set(series.identity.tolist())) == 1
    assert set(series.total) == {3 * 0.5 + 5 * 3.0} and set(series.maximum) == {4.0}


def test_the_single_bucket_of_old_tensorboards_is_a_constant(tmp_path):
    data = eb.summary(1, eb.tensor_histogram("bn/moving_variance", [(0.5, 1.5, 64.0)]))
    (run,) = read_logdir(eb.write(tmp_path, data))
    series = run.histograms["bn/moving_variance"]
    assert (series.minimum[0], series.maximum[0], series.total[0]) == (1.0, 1.0, 64.0)
    assert series.sum_squares[0] == 64.0 and set(series.bands[0].tolist()) == {1.0}
