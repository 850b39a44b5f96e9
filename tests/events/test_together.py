"""Small runs are decoded together: the runs are those that each would be alone."""

import dataclasses

import numpy as np
import pytest

from bn_tb.events.together import JoinedRuns
from bn_tb.runs.run import Run
from bn_tb.sources import logdir
from bn_tb.sources.logdir import find_runs, read_logdir, read_run
from tests.builders import event_bytes as eb

MANY = 10_000  # runs
START = eb.event(eb.field(7, eb.field(1, 1)))
GRAPH = eb.event(eb.field(4, b"g" * 30))


def summaries(run: int) -> bytes:
    values = [
        eb.histogram(tag, [run, step])
        for step in range(3)
        for tag in ("bn/moving_mean", f"bn{run}/moving_variance", "activation")[: 1 + run % 3]
    ]
    return b"".join(eb.summary(step, value) for step, value in enumerate(values))


def assert_same(one: Run, other: Run) -> None:
    plain = [dataclasses.replace(run, scalars={}, histograms={}) for run in (one, other)]
    assert plain[0] == plain[1]
    for ours, theirs in ((one.scalars, other.scalars), (one.histograms, other.histograms)):
        assert list(ours) == list(theirs)
        for tag, series in ours.items():
            for field in dataclasses.fields(series):
                np.testing.assert_array_equal(
                    getattr(series, field.name), getattr(theirs[tag], field.name)
                )


@pytest.fixture
def folder(tmp_path):
    for run in range(12):
        eb.write(tmp_path / f"run{run:02}", eb.VERSION + summaries(run))
    return tmp_path


def damaged(data: bytes) -> dict[str, bytes]:
    flipped = bytearray(data)
    flipped[len(data) // 2 : len(data) // 2 + 1] = b"~"
    return {
        "ok": data,
        "a graph and a session": data + START + GRAPH + data,
        "truncated": data[:-5],
        "cut inside the last header": data[:-1] + eb.record(b"")[:7],
        "a flipped bit": bytes(flipped),
        "malformed event": data + eb.record(b"\x0a\xff"),
        "empty": b"",
        "text": b"no events here",
        "a length that leads into the next file": data + eb.record(bytes(5000))[:400],
    }


@pytest.mark.parametrize("at", ["run00", "run05", "run11"])
@pytest.mark.parametrize("what", damaged(b"").keys())
def test_runs_are_those_read_alone_whatever_one_of_the_files_holds(what, at, folder):
    (file,) = (folder / at).iterdir()
    file.write_bytes(damaged(file.read_bytes())[what])
    alone = [read_run(found) for found in find_runs(folder)]
    together = list(read_logdir(folder))
    assert [run.name for run in together] == [f"run{run:02}" for run in range(12)]
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)


def test_a_run_with_too_many_points_is_thinned_as_if_it_were_alone(folder):
    long = b"".join(
        eb.summary(step, eb.scalar("loss", step % 7), eb.histogram("bn/moving_mean", [step // 9]))
        for step in range(300)
    )
    for run in (4, 5, 7):
        eb.write(folder / f"run{run:02}", eb.VERSION + long)
    found = find_runs(folder)
    (group,) = logdir._grouped([(run, 100 + 10 * at) for at, run in enumerate(found)])
    joined = logdir._read_group(group, logdir.tags.TagPatterns())
    assert isinstance(joined, JoinedRuns)
    runs = list(joined.runs())
    assert [run.scalars["loss"].thinned for run in runs if run.scalars] == [True] * 3
    for (one, limit), run in zip(group, runs, strict=True):
        assert_same(read_run(one, max_points=limit), run)


def test_ten_thousand_runs_of_one_logdir_are_read(tmp_path):
    data = eb.VERSION + summaries(1)
    for run in range(MANY):
        eb.write(tmp_path / f"run{run:05}", data)
    runs = list(read_logdir(tmp_path))
    assert len(runs) == MANY
    assert {(tuple(run.histograms), run.files[0].status) for run in runs} == {
        (("bn/moving_mean", "bn1/moving_variance"), "ok")
    }
