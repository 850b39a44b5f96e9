"""The follower: each byte once, partial records, new runs, replaced files."""

import os

from bn_tb.sources.follow import Follower
from bn_tb.sources.logdir import read_logdir
from tests.builders import event_bytes as eb


def steps(first: int, last: int) -> bytes:
    return b"".join(
        eb.summary(s, eb.scalar("loss", 1 / (s + 1)), eb.histogram("bn/moving_mean", [s, 2.0]))
        for s in range(first, last)
    )


def test_first_poll_returns_all_runs_and_the_second_none(tmp_path):
    eb.write(tmp_path / "a", eb.VERSION + steps(0, 3))
    eb.write(tmp_path / "b", eb.VERSION + steps(0, 3))
    follower = Follower(tmp_path)
    assert [run.name for run in follower.poll()] == ["a", "b"]
    assert follower.poll() == ()
    assert [run.name for run in follower.runs] == ["a", "b"]


def test_a_file_that_grows_byte_by_byte_gives_what_one_reading_gives(tmp_path):
    data = eb.VERSION + steps(0, 4)
    follower = Follower(tmp_path)
    for end in range(len(data) + 1):
        path = eb.write(tmp_path, data[:end])
        os.utime(path, ns=(end, end))
        follower.poll()
    (run,) = follower.runs
    (fresh,) = read_logdir(tmp_path)
    assert run.files == fresh.files and run.files[0].status == "ok"
    assert run.sessions == fresh.sessions
    assert run.scalars["loss"].steps.tolist() == [0, 1, 2, 3]
    ours, theirs = run.histograms["bn/moving_mean"], fresh.histograms["bn/moving_mean"]
    assert ours.identity.tolist() == theirs.identity.tolist()


def test_an_unfinished_record_is_reported_until_its_rest_is_there(tmp_path):
    data = eb.VERSION + steps(0, 2)
    eb.write(tmp_path, data[:-5])
    follower = Follower(tmp_path)
    (run,) = follower.poll()
    assert run.files[0].status == "truncated" and run.last_step == 0
    assert follower.poll() == () and follower.runs[0].files[0].status == "truncated"
    eb.write(tmp_path, data)
    (run,) = follower.poll()
    assert run.files[0].status == "ok" and run.last_step == 1


def test_new_runs_and_new_files_appear_and_vanished_runs_leave(tmp_path):
    follower = Follower(tmp_path / "late")
    assert follower.poll() == ()
    eb.write(tmp_path / "late/a", eb.VERSION + steps(0, 2), "events.out.tfevents.1")
    assert [run.name for run in follower.poll()] == ["a"]
    eb.write(tmp_path / "late/a", eb.VERSION + steps(2, 4), "events.out.tfevents.2")
    eb.write(tmp_path / "late/b", eb.VERSION + steps(0, 1))
    changed = follower.poll()
    assert [(run.name, run.last_step) for run in changed] == [("a", 3), ("b", 0)]
    assert len(changed[0].sessions) == 2
    os.remove(tmp_path / "late/b/events.out.tfevents.1.host")
    assert follower.poll() == ()
    assert [run.name for run in follower.runs] == ["a"]


def test_a_shortened_and_a_replaced_file_are_read_afresh(tmp_path):
    path = eb.write(tmp_path, eb.VERSION + steps(0, 5))
    follower = Follower(tmp_path)
    follower.poll()
    eb.write(tmp_path, eb.VERSION + steps(0, 2))
    (run,) = follower.poll()
    assert run.scalars["loss"].steps.tolist() == [0, 1]
    eb.write(tmp_path, eb.event(eb.field(3, b"brain.Event:2"), wall_time=9.0) + steps(7, 20))
    os.utime(path, ns=(1, 1))
    (run,) = follower.poll()
    assert run.first_step == 7


def test_a_file_is_never_reread(tmp_path, monkeypatch):
    """Bytes asked for by read_window start where the last record ended."""
    from bn_tb.events import event_file

    offsets = []
    real = event_file.read_window

    def spy(file, offset, size):
        offsets.append(offset)
        return real(file, offset, size)

    monkeypatch.setattr(event_file, "read_window", spy)
    first = eb.VERSION + steps(0, 3)
    eb.write(tmp_path, first)
    follower = Follower(tmp_path)
    follower.poll()
    eb.write(tmp_path, first + steps(3, 5))
    follower.poll()
    follower.poll()
    assert offsets == [0, len(first)]
