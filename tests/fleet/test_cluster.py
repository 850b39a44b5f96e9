"""A cluster gives the local verdicts, whatever dies meanwhile."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys

import pytest

from bn_tb import analyze
from bn_tb.diagnosis import Options, diagnose
from bn_tb.errors import UsageError
from bn_tb.fleet import fleet
from bn_tb.sources.logdir import find_runs, read_logdir
from tests.builders import event_bytes as eb
from tests.builders.dask_cluster import running
from tests.places import ROOT

pytest.importorskip("distributed", reason="needs Dask: pip install '.[cluster]'")


def stale(steps=10):
    return eb.VERSION + b"".join(
        eb.summary(
            s,
            eb.scalar("loss", 1 / (s + 1)),
            eb.histogram("bn/moving_mean", [0.0, 0.0]),
            eb.histogram("bn/moving_variance", [1.0, 1.0]),
        )
        for s in range(steps)
    )


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """Runs that are a task each."""
    monkeypatch.setattr("bn_tb.fleet.judging.MOST_RUNS", 1)
    for name in ("a", "b", "slow", "x", "y"):
        eb.write(tmp_path / "logs" / name, stale())
    return tmp_path / "logs"


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def judged(scheduler, logs):
    from bn_tb.fleet.cluster import Cluster

    with Cluster(str(scheduler), {}) as cluster:
        return fleet.judge_all(find_runs(logs), Options(), cluster.judge)


@pytest.fixture
def in_background():
    """Judges in a thread, so that the test can do harm meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield lambda *arguments: pool.submit(judged, *arguments)


def summary(diagnoses):
    return [(one.subject.run.name, one.verdict, one.layers, one.findings) for one in diagnoses]


def test_workers_over_tcp_give_the_local_verdicts(two_workers, logs):
    outcome = judged(two_workers.file, logs)
    assert outcome.problem == ""
    assert summary(outcome.diagnoses) == summary(diagnose(read_logdir(logs)))
    assert summary(judged(two_workers.address(), logs).diagnoses) == summary(outcome.diagnoses)


def test_a_killed_worker_costs_nothing(two_workers, logs, in_background):
    with two_workers.held() as held:
        outcome = in_background(two_workers.file, logs)
        os.kill(held.worker(), signal.SIGKILL)
        assert summary(outcome.result().diagnoses) == summary(diagnose(read_logdir(logs)))
    assert outcome.result().problem == ""


def test_a_run_that_kills_its_workers_costs_one_row(two_workers, logs):
    eb.write(logs / "killer", stale())
    rows = {one.subject.run.name: one for one in judged(two_workers.file, logs).diagnoses}
    assert list(rows) == ["a", "b", "killer", "slow", "x", "y"]
    assert "its worker died" in rows.pop("killer").problem
    assert {one.verdict for one in rows.values()} == {"stale"}


def test_ctrl_c_leaves_a_partial_report(two_workers, logs, tmp_path, capsys):
    command = [sys.executable, "-m", "bn_tb.analyze", str(logs), "--format=json"]
    command += [f"--cache={tmp_path}/cache", f"--scheduler={two_workers.file}"]
    (logs / "slow").rename(tmp_path / "slow")
    analyze.main(command[3:])
    capsys.readouterr()
    (tmp_path / "slow").rename(logs / "slow")
    with two_workers.held() as held:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        worker = held.worker()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        os.kill(worker, signal.SIGKILL)
    assert process.returncode == 2
    assert err == b"bn_tb: interrupted: 1 of 5 runs were not judged\n"
    assert [run["run"] for run in json.loads(out)["runs"]] == ["a", "b", "x", "y"]


def test_a_lost_nanny_takes_its_worker_along_and_the_other_goes_on(tmp_path, logs, in_background):
    (tmp_path / "own").mkdir()
    with running(tmp_path / "own") as cluster, cluster.held() as held:
        outcome = in_background(cluster.file, logs)
        worker = held.worker()
        nanny = next(one for one in cluster.workers if os.getpgid(worker) == one.pid)
        os.kill(nanny.pid, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        assert summary(outcome.result().diagnoses) == summary(diagnose(read_logdir(logs)))


def test_a_lost_scheduler_leaves_what_was_judged(tmp_path, logs, in_background):
    (tmp_path / "own").mkdir()
    with running(tmp_path / "own") as cluster, cluster.held() as held:
        outcome = in_background(cluster.file, logs)
        held.worker()
        os.kill(cluster.scheduler.pid, signal.SIGKILL)
        lost = outcome.result()
    assert lost.problem.startswith("the scheduler is gone: ")
    assert len(lost.diagnoses) < 5
    assert {one.verdict for one in lost.diagnoses} <= {"stale"}


def test_a_worker_with_another_bn_tb_is_refused_before_the_first_run(tmp_path, logs):
    (tmp_path / "own").mkdir()
    with (
        running(tmp_path / "own", workers=1, BN_TB_TEST_EDITION="another") as cluster,
        pytest.raises(UsageError, match="has another bn_tb"),
    ):
        judged(cluster.file, logs)


@pytest.mark.parametrize("scheduler", ["here", "local:0", "tcp:/host"])
def test_what_is_no_scheduler_is_refused(scheduler):
    with pytest.raises(UsageError, match="want local, local:N, tcp://HOST:PORT"):
        judged(scheduler, ".")


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "No such file"), ("{}", "no address"), ("[]", "no address"), ("{", "Expecting")],
)
def test_a_scheduler_file_that_is_none_is_refused_and_not_waited_for(tmp_path, text, reason):
    if text is not None:
        (tmp_path / "dask.json").write_text(text)
    with pytest.raises(UsageError, match=reason):
        judged(tmp_path / "dask.json", ".")
