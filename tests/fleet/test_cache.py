"""The cache: what did not change is not read again, and nothing damaged is believed."""

import os
import sqlite3
import threading

import numpy as np
import pytest

from bn_tb import analyze
from bn_tb.diagnosis import Options, diagnose
from bn_tb.fleet import cache as cache_module
from bn_tb.fleet import fleet, judging
from bn_tb.fleet.cache import NAME, Cache
from bn_tb.runs.tags import TagPatterns
from bn_tb.sources.logdir import find_runs, read_logdir
from tests.builders import checkpoint_bytes as cb
from tests.builders import event_bytes as eb


def steps(last, moving):
    return eb.VERSION + b"".join(
        eb.summary(
            s,
            eb.scalar("loss", 1 / (s + 1)),
            eb.histogram("bn/moving_mean", [0.1 * s * moving, 0.0]),
            eb.histogram("bn/moving_variance", [1.0 + 0.1 * s * moving, 1.0]),
        )
        for s in range(last)
    )


@pytest.fixture
def logs(tmp_path):
    for name, moving in (("good/train", 1), ("good/validation", 1), ("bad", 0)):
        eb.write(tmp_path / "logs" / name, steps(20, moving))
    return tmp_path / "logs"


@pytest.fixture
def reads(monkeypatch):
    """Runs that were judged since the test began."""
    seen = []
    real = judging.judge

    def spy(task):
        seen.extend(run.name for run in task.found)
        return real(task)

    monkeypatch.setattr(fleet, "judge", spy)
    monkeypatch.setattr(fleet, "can_fork", lambda: False)
    return seen


def judged(logs, folder, options=Options()):
    with Cache(str(folder), options) as cache:
        return fleet.judge_all(find_runs(logs), options, fleet.here, cache)


def summary(diagnoses):
    return [(one.subject.run.name, one.verdict, one.layers, one.findings) for one in diagnoses]


def test_a_second_look_reads_nothing_and_says_the_same(logs, tmp_path, reads):
    fresh = summary(diagnose(read_logdir(logs)))
    assert summary(judged(logs, tmp_path / "cache").diagnoses) == fresh
    assert len(reads) == 3
    assert summary(judged(logs, tmp_path / "cache").diagnoses) == fresh
    assert len(reads) == 3


def test_only_the_experiment_that_grew_is_read_again(logs, tmp_path, reads):
    judged(logs, tmp_path / "cache")
    reads.clear()
    eb.write(logs / "good/train", steps(25, 1))
    assert judged(logs, tmp_path / "cache").diagnoses[1].subject.run.last_step == 24
    assert reads == ["good/train", "good/validation"]


def test_a_new_run_of_an_experiment_has_the_whole_experiment_judged(logs, tmp_path, reads):
    judged(logs, tmp_path / "cache")
    reads.clear()
    eb.write(logs / "good/test", steps(3, 1))
    judged(logs, tmp_path / "cache")
    assert reads == ["good/test", "good/train", "good/validation"]


@pytest.mark.parametrize(
    "options",
    [
        Options(momentum=0.9),
        Options(limits={"BN201": {"lagging": 0.1}}),
        Options(patterns=TagPatterns((), ())),
        Options(frozen=("bn",)),
    ],
    ids=["momentum", "limits", "same", "frozen"],
)
def test_verdicts_hold_for_the_options_they_were_made_with(logs, tmp_path, reads, options):
    judged(logs, tmp_path / "cache")
    reads.clear()
    judged(logs, tmp_path / "cache", options)
    assert bool(reads) is (options != Options())


def test_another_edition_of_bn_tb_believes_no_older_verdict(logs, tmp_path, reads, monkeypatch):
    judged(logs, tmp_path / "cache")
    reads.clear()
    monkeypatch.setattr(cache_module, "edition", lambda: "another")
    judged(logs, tmp_path / "cache")
    assert len(reads) == 3


def test_what_could_not_be_read_is_tried_again(logs, tmp_path, reads):
    os.mkfifo(logs / "bad/pipe.tfevents")
    judged(logs, tmp_path / "cache")
    reads.clear()
    judged(logs, tmp_path / "cache")
    assert reads == ["bad"]


def overwrite(path):
    path.write_bytes(b"this is no database, whatever its name says" * 100)


def tear(path):
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def lie(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE judged SET rows = replace(rows, 'stale', 'healthy')")
    connection.close()


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [overwrite, tear, lie, empty])
def test_a_damaged_cache_is_rebuilt_and_never_believed(logs, tmp_path, reads, damage):
    fresh = summary(judged(logs, tmp_path / "cache").diagnoses)
    damage(tmp_path / "cache" / NAME)
    reads.clear()
    assert summary(judged(logs, tmp_path / "cache").diagnoses) == fresh
    assert reads
    reads.clear()
    assert summary(judged(logs, tmp_path / "cache").diagnoses) == fresh
    assert reads == []


def test_several_may_write_at_once(logs, tmp_path, reads):
    threads = [threading.Thread(target=judged, args=(logs, tmp_path / "cache")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reads.clear()
    judged(logs, tmp_path / "cache")
    assert reads == []


@pytest.fixture
def sources(logs):
    """The runs, with one that holds no statistics and one of checkpoints beside them."""
    eb.write(logs / "good/eval", eb.VERSION + eb.summary(19, eb.scalar("loss", 1.0)))
    (logs / "saved").mkdir()
    for step in (1, 2):
        values = {"bn.running_mean": ("F32", np.float32([step, 0]))}
        values["bn.running_var"] = ("F32", np.float32([2, 3]))
        (logs / f"saved/step={step}.safetensors").write_bytes(cb.safetensors(values))
    return logs


@pytest.mark.parametrize("format", ["json", "csv", "markdown", "sarif", "junit"])
def test_the_command_says_the_same_with_a_cache(sources, tmp_path, capsys, format):
    def report(*flags):
        status = analyze.main([str(sources), f"--format={format}", *flags])
        return status, capsys.readouterr().out

    assert report() == report(f"--cache={tmp_path}/c") == report(f"--cache={tmp_path}/c")


def test_what_people_read_lacks_nothing_but_curves_with_a_cache(sources, tmp_path, capsys):
    def lines(*flags):
        analyze.main([str(sources), "--verbose", *flags])
        written = capsys.readouterr().out.splitlines()
        return [line for line in written if line and "▁" not in line and "(rms)" not in line]

    assert lines() == lines(f"--cache={tmp_path}/c") == lines(f"--cache={tmp_path}/c")


def test_a_cache_that_cannot_be_made_is_one_line(logs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match="cannot be used"):
        Cache(str(tmp_path / "file"), Options())
