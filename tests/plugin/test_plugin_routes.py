"""The routes of the tab, over both of TensorBoard's data providers."""

import json
import os
import pathlib
import shutil

import pytest

import bn_tb
from tests.builders import event_bytes as eb
from tests.builders import written_logs
from tests.builders.tensorboard_app import served

BASE = "/data/plugin/bn_tb"


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for write in written_logs.KINDS:
        write(folder)
    return folder


@pytest.fixture(scope="module", params=["--load_fast=false", "--load_fast=true"])
def client(request, logdir):
    with served(logdir, request.param) as (client, _):
        yield client


def runs_when_judged(client, prefix=BASE):
    """Asks as the page does until every run is judged."""
    while True:
        answer = client.get(f"{prefix}/runs").json
        if not answer["busy"]:
            return {run["run"]: run for run in answer["runs"]}


def answer_when_read(client, route, **parameters):
    while True:
        answer = client.get(f"{BASE}/{route}", query_string=parameters)
        assert answer.status_code == 200, answer.text
        if "pending" not in answer.json:
            return answer.json


def analyzed(logdir):
    diagnoses = bn_tb.diagnose(bn_tb.read_logdir(logdir))
    return {run["run"]: run for run in json.loads(bn_tb.render(diagnoses, "json"))["runs"]}


def test_the_list_has_the_verdicts_of_analyze(client, logdir):
    shown = {name: run["verdict"] for name, run in runs_when_judged(client).items()}
    assert shown == {name: run["verdict"] for name, run in analyzed(logdir).items()}
    assert {"stale", "broken", "healthy", "unreadable"} <= set(shown.values())


def test_a_run_has_the_findings_and_layers_of_analyze_word_for_word(client, logdir):
    for name, wanted in analyzed(logdir).items():
        shown = answer_when_read(client, "run", run=name)
        assert shown["findings"] == wanted["findings"]
        assert shown["files"] == wanted["files"]
        for ours, theirs in zip(shown["layers"], wanted["layers"], strict=True):
            assert theirs.items() <= ours.items()


def test_a_layer_has_the_first_point_that_tensorboard_drops(client):
    layer = answer_when_read(client, "layer", run="stale", layer="bn1")
    mean, variance = layer["statistics"]
    assert mean["steps"] == [0, written_logs.STEPS - 1]
    assert mean["points"] == written_logs.STEPS
    assert set(map(tuple, mean["bands"])) == {(0.0, 0.0)}
    assert set(map(tuple, variance["bands"])) == {(1.0, 1.0)}


def test_a_manual_page_is_served(client):
    assert client.get(f"{BASE}/manual?code=BN101").json[0]["tag"] == "h3"


@pytest.mark.parametrize(
    ("route", "status", "words"),
    [
        ("run", 400, "parameter run is missing"),
        ("run?run=nobody", 404, "no run 'nobody'"),
        ("run?run=../../../etc/passwd", 404, "no run"),
        ("layer?run=stale", 400, "parameter layer is missing"),
        ("layer?run=stale&layer=bn9", 404, "no layer 'bn9'"),
        ("manual?code=BN000", 404, "no rule 'BN000'"),
        ("export?run=stale", 400, "parameter format is missing"),
        ("export?run=stale&format=pickle", 400, "want html or json"),
        ("static/../plugin.py", 404, ""),
        ("../../../setup.py", 404, ""),
    ],
)
def test_a_wrong_request_is_answered_with_what_is_wrong(client, route, status, words):
    runs_when_judged(client)
    answer = client.get(f"{BASE}/{route}")
    assert answer.status_code == status
    assert words in answer.text
    assert "Traceback" not in answer.text


def test_a_run_is_exported_as_analyze_writes_it(client, logdir):
    answer = client.get(f"{BASE}/export?run=stale&format=json")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    (exported,) = answer.json["runs"]
    assert exported == analyzed(logdir)["stale"]


def test_all_runs_are_exported_together(client, logdir):
    exported = {run["run"]: run for run in client.get(f"{BASE}/export?format=json").json["runs"]}
    assert exported == analyzed(logdir)


def test_a_run_is_exported_as_html(client):
    answer = client.get(f"{BASE}/export?run=stale&format=html")
    assert answer.mimetype == "text/html"
    assert "never-updated" in answer.text


def test_every_module_of_the_page_is_served_as_javascript(client):
    for name in ("index.js", "tensorboard_host.js", "app.js", "chart.js"):
        answer = client.get(f"{BASE}/{name}")
        assert answer.mimetype == "text/javascript"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_tab_is_listed_and_becomes_active_by_itself(client):
    """The answer comes from memory, so the first ones may still be no."""
    while True:
        listed = client.get("/data/plugins_listing").json["bn_tb"]
        if listed["enabled"]:
            break
    assert listed["tab_name"] == "BatchNorm"
    assert listed["loading_mechanism"]["module_path"] == "/data/plugin/bn_tb/index.js"


def test_logs_without_batch_norm_do_not_activate_the_tab(tmp_path):
    written_logs.no_batch_norm(tmp_path)
    with served(tmp_path, "--load_fast=false") as (client, provider):
        from bn_tb.plugin.peek import Peek

        assert Peek(None).seen() is False
        peek = Peek(provider)
        assert peek._find() is False
        assert client.get("/data/plugins_listing").json["bn_tb"]["enabled"] is False


def test_runs_of_logdir_spec_have_tensorboards_names(tmp_path):
    written_logs.stale(tmp_path / "one")
    written_logs.healthy(tmp_path / "two")
    spec = f"a:{tmp_path / 'one' / 'stale'},b:{tmp_path / 'two'}"
    with served("", f"--logdir_spec={spec}", "--load_fast=false") as (client, _):
        shown = {name: run["verdict"] for name, run in runs_when_judged(client).items()}
        assert shown == {"a/.": "stale", "b/healthy": "healthy"}
        assert set(client.get("/data/runs").json) == set(shown)


def test_a_path_prefix_stands_before_every_route(logdir):
    with served(logdir, "--load_fast=false", "--path_prefix=/some/where") as (client, _):
        assert runs_when_judged(client, f"/some/where{BASE}")["stale"]["verdict"] == "stale"


def test_new_data_are_read_when_the_page_asks_for_them(tmp_path):
    written_logs.stale(tmp_path)
    with served(tmp_path, "--load_fast=false") as (client, _):
        assert runs_when_judged(client)["stale"]["last_step"] == written_logs.STEPS - 1
        (file,) = (tmp_path / "stale").iterdir()
        more = range(written_logs.STEPS, written_logs.STEPS + 50)
        with file.open("ab") as end:
            end.write(written_logs.statistics(more, momentum=1.0))
        written_logs.healthy(tmp_path)
        assert "healthy" not in runs_when_judged(client)
        client.get(f"{BASE}/runs?refresh=1")
        runs = runs_when_judged(client)
        assert runs["stale"]["last_step"] == written_logs.STEPS + 49
        assert runs["healthy"]["verdict"] == "healthy"
        layer = answer_when_read(client, "layer", run="stale", layer="bn1")
        assert layer["statistics"][0]["points"] == written_logs.STEPS + 50


def too_deep(folder):
    """Makes a path that is longer than a system call takes."""
    before = os.getcwd()
    os.chdir(folder)
    for _ in range(20):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    os.chdir(before)


UNLOOKABLE = {
    "a link to itself": lambda folder: (folder / "loop").symlink_to(folder / "loop"),
    "a path too long to look at": too_deep,
    "a folder named like an event file": lambda folder: (folder / "x.tfevents").mkdir(),
}


@pytest.mark.parametrize("what", UNLOOKABLE)
def test_a_path_that_cannot_be_looked_at_costs_the_tab_one_row(tmp_path, what):
    written_logs.stale(tmp_path)
    UNLOOKABLE[what](tmp_path)
    with served(tmp_path, "--load_fast=false") as (client, _):
        before = runs_when_judged(client)
        assert before.pop("stale")["verdict"] == "stale"
        assert {run["verdict"] for run in before.values()} <= {"unreadable"}
        written_logs.healthy(tmp_path)
        client.get(f"{BASE}/runs?refresh=1")
        assert runs_when_judged(client)["healthy"]["verdict"] == "healthy"
        exported = client.get(f"{BASE}/export?format=json")
        assert exported.status_code == 200
        assert {"stale", "healthy"} <= {run["run"] for run in exported.json["runs"]}
    shutil.rmtree(tmp_path)  # by us: pytest cannot


def test_a_logdir_that_cannot_be_looked_at_is_said_until_it_can(tmp_path):
    logdir = tmp_path / "logs"
    logdir.symlink_to(logdir)
    with served(logdir, "--load_fast=false") as (client, _):
        answer = client.get(f"{BASE}/runs").json
        assert answer["runs"] == []
        assert answer["notices"] == [
            f"{logdir}: cannot be looked at: Too many levels of symbolic links"
        ]
        exported = client.get(f"{BASE}/export?format=html")
        assert exported.status_code == 200 and "Too many levels" in exported.text
        logdir.unlink()
        written_logs.healthy(logdir)
        client.get(f"{BASE}/runs?refresh=1")
        assert runs_when_judged(client)["healthy"]["verdict"] == "healthy"
        assert client.get(f"{BASE}/runs").json["notices"] == []


def test_run_folders_that_are_not_utf8_have_names_that_are_text(tmp_path):
    names = [b"caf\xe9", b"caf\xe8", b"\xff\xfe/train", "café".encode()]
    for name in names:
        folder = pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        eb.write(folder, eb.VERSION + written_logs.statistics(range(9), momentum=1.0))
    shown = {r"caf\xe9", r"caf\xe8", r"\xff\xfe/train", "café"}
    # TensorBoard's own loader, in Python, ends with UnicodeDecodeError.
    with served(tmp_path, "--load_fast=true") as (client, _):
        assert set(runs_when_judged(client)) == shown
        for name in shown:
            assert answer_when_read(client, "run", run=name)["run"] == name
            assert client.get(
                f"{BASE}/export", query_string={"run": name, "format": "html"}
            ).text.encode("utf-8")
    assert set(analyzed(tmp_path)) == shown
    for format in bn_tb.reports.RENDERERS:
        text = bn_tb.render(bn_tb.diagnose(bn_tb.read_logdir(tmp_path)), format)
        assert "\\ud" not in text and text.encode("utf-8")


def test_an_empty_logdir_has_no_runs(tmp_path):
    with served(tmp_path, "--load_fast=false") as (client, _):
        answer = client.get(f"{BASE}/runs").json
        assert (answer["runs"], answer["busy"]) == ([], False)
        assert {snippet["framework"] for snippet in answer["snippets"]} >= {"PyTorch", "Keras"}


def test_a_remote_logdir_is_judged_by_tensorboards_sample_and_the_page_says_so(logdir):
    from bn_tb.plugin.sampled import DataLayer

    with served(logdir, "--load_fast=false") as (_, provider):
        source = DataLayer(provider, "gs://bucket/logs")
        runs = [run for found in source.find().values() for run in source.read(found)]
        verdicts = {one.subject.run.name: one.verdict for one in bn_tb.diagnose(runs)}
    assert verdicts["stale"] == "stale"
    assert verdicts["broken"] == "broken"
    assert verdicts["not_logged"] == "not-logged"
    assert "sampled" in source.notice


def test_a_faulty_configuration_is_named_on_the_page(tmp_path, monkeypatch):
    (tmp_path / "bn_tb.toml").write_text("no_such_key = 1\n")
    monkeypatch.chdir(tmp_path)
    with served(tmp_path, "--load_fast=false") as (client, _):
        (notice,) = client.get(f"{BASE}/runs").json["notices"]
    assert "no_such_key" in notice
