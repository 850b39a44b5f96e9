"""A cluster gives the local verdicts, whatever dies meanwhile."""

import concurrent.futures
import contextlib
import json
import os
import shutil
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


@contextlib.contextmanager
def held_command(cluster, logs, cache, scheduler, **options):
    """Runs the command line on a cluster until all runs but `slow`, which a worker holds, are done.

    Yields:
      The process and the id of the worker's process.
    """
    command = [sys.executable, "-m", "bn_tb.analyze", str(logs), "--format=json"]
    command += [f"--cache={cache}", f"--scheduler={scheduler}"]
    options["env"] = os.environ | {"PYTHONPATH": str(ROOT)} | options.get("env", {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    (logs / "slow").rename(logs.parent / "slow")
    analyze.main([str(logs), f"--cache={cache}", "--format=json"])
    (logs.parent / "slow").rename(logs / "slow")
    with cluster.held() as held, subprocess.Popen(command, **pipes, **options) as process:
        worker = held.worker()
        yield process, worker
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def assert_partial(process, problem):
    """Asserts that a command reports all runs but one, says so and ends with 2."""
    out, err = process.communicate()
    assert err.decode() == f"bn_tb: {problem}: 1 of 5 runs were not judged\n"
    assert [run["run"] for run in json.loads(out)["runs"]] == ["a", "b", "x", "y"]
    assert process.returncode == 2


def test_ctrl_c_leaves_a_partial_report(two_workers, logs, tmp_path):
    with held_command(two_workers, logs, tmp_path / "c", two_workers.file) as (process, _):
        process.send_signal(signal.SIGINT)
        assert_partial(process, "interrupted")


def test_a_killed_scheduler_leaves_a_partial_report(tmp_path, logs):
    (tmp_path / "own").mkdir()
    with (
        running(tmp_path / "own") as cluster,
        held_command(cluster, logs, tmp_path / "c", cluster.file) as (process, _),
    ):
        os.kill(cluster.scheduler.pid, signal.SIGKILL)
        assert_partial(process, "the scheduler is gone")


def test_ctrl_c_at_a_terminal_which_workers_of_our_own_get_too(two_workers, logs, tmp_path):
    own = {"env": two_workers.for_workers_of_our_own(), "start_new_session": True}
    with held_command(two_workers, logs, tmp_path / "c", "local:1", **own) as (process, _):
        os.killpg(process.pid, signal.SIGINT)
        assert_partial(process, "interrupted")


def test_workers_of_our_own_give_the_local_verdicts(logs):
    assert summary(judged("local:2", logs).diagnoses) == summary(diagnose(read_logdir(logs)))


def test_a_lost_nanny_takes_its_worker_along_and_the_other_goes_on(tmp_path, logs, in_background):
    (tmp_path / "own").mkdir()
    with running(tmp_path / "own") as cluster, cluster.held() as held:
        outcome = in_background(cluster.file, logs)
        worker = held.worker()
        nanny = next(one for one in cluster.workers if os.getpgid(worker) == one.pid)
        os.kill(nanny.pid, signal.SIGKILL)
        assert summary(outcome.result().diagnoses) == summary(diagnose(read_logdir(logs)))


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_certificates_are_those_of_the_configuration_of_dask(tmp_path, logs):
    import dask

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=bn_tb"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    settings = {"default-scheme": "tls", "require-encryption": True}
    settings["tls.ca-file"] = str(certificate)
    for role in ("scheduler", "worker", "client"):
        settings[f"tls.{role}.key"], settings[f"tls.{role}.cert"] = str(key), str(certificate)
    comm = {f"distributed.comm.{name}": value for name, value in settings.items()}
    environment = {
        f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": str(value)
        for name, value in comm.items()
    }
    (tmp_path / "own").mkdir()
    with (
        dask.config.set(comm),
        running(tmp_path / "own", workers=1, **environment) as cluster,
    ):
        assert cluster.address().startswith("tls://")
        outcome = judged(cluster.address(), logs)
    assert summary(outcome.diagnoses) == summary(diagnose(read_logdir(logs)))


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
