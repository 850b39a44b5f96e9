"""The whole way: an object store, a cluster over TCP, a worker that dies, the local verdicts."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from bn_tb import analyze
from tests.builders import event_bytes as eb
from tests.builders.dask_cluster import running
from tests.builders.object_store import OPTIONS, SECRET, serving
from tests.places import ROOT, SHARED

pytest.importorskip("distributed", reason="needs Dask: pip install '.[dev]'")
pytest.importorskip("moto", reason="needs moto: pip install '.[dev]'")
pytest.importorskip("s3fs", reason="needs s3fs: pip install '.[dev]'")
pytest.importorskip("torch", reason="needs PyTorch, for runs of the laboratory")

CORPUS = SHARED / "corpus"
LABORATORY = ("torch_eval_before_training", "torch_variance_forgotten", "torch_lagging_by_curve")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Runs of the laboratory, and of other people where they are at hand."""
    folder = tmp_path_factory.mktemp("sweep")
    command = [sys.executable, "-m", "tests.lab", "pytorch", str(folder), *LABORATORY]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    if CORPUS.exists():
        shutil.copytree(CORPUS, folder / "corpus")
    eb.write(folder / "slow", eb.VERSION + eb.summary(1, eb.scalar("loss", 1.0)))
    return folder


def report(capsys, *arguments):
    """Returns exit status, report and messages of a call."""
    status = analyze.main(["--format=json", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def verdicts(text):
    """Returns all but paths, which are shortened in messages, of a report."""
    runs = json.loads(text)["runs"]
    for run in runs:
        del run["logdir"], run["files"]
        for finding in run["findings"]:
            if finding["code"] == "BN903":  # damaged-file
                del finding["message"], finding["evidence"]
    return runs


def refusing_each_at_first():
    """Returns a fault: each object is refused once, some as throttled, some as failed."""
    seen = set()

    def fault(request):
        if not request.startswith("GET /runs/sweep/") or request in seen:
            return 0
        seen.add(request)
        return 503 if len(seen) % 2 else 500

    return fault


def test_a_bad_bucket_on_a_cluster_gives_the_local_verdicts_though_a_worker_dies(
    sweep, tmp_path, capsys
):
    with serving() as store, running(tmp_path) as cluster, cluster.held() as held:
        url = store.upload(sweep, "sweep")
        store.fault = refusing_each_at_first()
        options = tmp_path / "options.json"
        options.write_text(json.dumps(store.options))
        access, cache = f"--storage_options={options}", tmp_path / "cache"
        command = [sys.executable, "-m", "bn_tb.analyze", url, access, f"--cache={cache}"]
        command += [f"--scheduler={cluster.file}", "--format=json"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            os.kill(held.worker(), signal.SIGKILL)
            out, _ = process.communicate()
        status, local, _ = report(capsys, sweep)
        assert verdicts(out) == verdicts(local)
        assert process.returncode == status
        store.requests.clear()
        again, known, _ = report(capsys, url, access, f"--cache={cache}")
        assert (again, known) == (status, out.decode())
        read = {request.partition("?")[0].rpartition("/")[2] for request in store.reads("sweep/")}
    unreadable = {
        os.path.basename(file["path"])
        for run in json.loads(local)["runs"]
        for file in run["files"]
        if file["status"] == "not_event_file"
    }
    assert read <= unreadable  # nothing else was read a second time
    kept = (cache / "bn_tb.sqlite3").read_bytes()
    assert SECRET.encode() not in kept and OPTIONS["key"].encode() not in kept
