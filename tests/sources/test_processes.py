"""Several cores: the same runs in the same order."""

import numpy as np
import pytest

from bn_tb.sources import logdir, processes
from bn_tb.sources.logdir import Progress, read_logdir
from tests.builders import event_bytes as eb


@pytest.fixture
def many_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(logdir, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(processes, "_BATCH_COST", 1000)
    monkeypatch.setattr(logdir, "can_fork", lambda: True)
    for run in range(30):
        data = b"".join(
            eb.summary(step, eb.histogram("bn/moving_mean", [run, step])) for step in range(1 + run)
        )
        eb.write(tmp_path / f"run{run:02}", data)
    return tmp_path


def test_processes_give_the_same_runs_in_the_same_order(many_runs):
    alone, together = list(read_logdir(many_runs)), list(read_logdir(many_runs, jobs=2))
    assert [run.name for run in alone] == [run.name for run in together]
    for ours, theirs in zip(alone, together, strict=True):
        assert (ours.files, ours.sessions, ours.all_tags) == (
            *(theirs.files, theirs.sessions, theirs.all_tags),
        )
        for field in ("steps", "identity", "total", "bands"):
            np.testing.assert_array_equal(
                getattr(ours.histograms["bn/moving_mean"], field),
                getattr(theirs.histograms["bn/moving_mean"], field),
            )


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_ends_with_all_bytes_and_runs(jobs, many_runs):
    seen: list[Progress] = []
    runs = list(read_logdir(many_runs, progress=seen.append, jobs=jobs))
    assert seen[-1].bytes_read == seen[-1].bytes_found == sum(run.files[0].bytes for run in runs)
    assert seen[-1].runs_found == seen[-1].runs_read == 30


def test_a_reader_that_is_left_early_ends_its_processes(many_runs):
    runs = read_logdir(many_runs, jobs=2)
    assert next(runs).name == "run00"
    runs.close()
