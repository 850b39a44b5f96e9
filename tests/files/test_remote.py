"""Remote places: one listing, few large requests, faults that cost one object."""

import threading
import time

import pytest

from bn_tb.files import place, remote
from bn_tb.files.found import FoundFile
from bn_tb.sources.follow import Follower
from bn_tb.sources.logdir import find_runs, read_logdir
from tests.builders import event_bytes as eb
from tests.builders.object_store import BUCKET, OPTIONS, SECRET, serving

pytest.importorskip("moto", reason="needs moto: pip install '.[dev]'")
pytest.importorskip("s3fs", reason="needs s3fs: pip install '.[dev]'")


def steps(first, last):
    return b"".join(
        eb.summary(s, eb.scalar("loss", 1 / (s + 1)), eb.histogram("bn/moving_mean", [s, 2.0]))
        for s in range(first, last)
    )


@pytest.fixture(scope="module")
def server():
    with serving() as store:
        yield store


@pytest.fixture
def store(server, monkeypatch):
    """The server without faults, and fsspec with its address and credentials."""
    import fsspec.config

    monkeypatch.setattr(fsspec.config, "conf", {})
    remote.use({"s3://": server.options})
    yield server
    server.fault = lambda request: 0


@pytest.fixture
def logs(tmp_path):
    for name in ("a", "b/train", "b/validation"):
        eb.write(tmp_path / name, eb.VERSION + steps(0, 4))
    (tmp_path / "a/notes.txt").write_bytes(b"not of interest")
    return tmp_path


def test_a_bucket_gives_the_runs_that_its_copy_on_disk_gives(store, logs):
    url = store.upload(logs, "same")
    here, there = list(read_logdir(logs)), list(read_logdir(url))
    assert [run.name for run in there] == [run.name for run in here]
    for ours, theirs in zip(here, there, strict=True):
        assert [f.status for f in theirs.files] == ["ok"]
        mean = "bn/moving_mean"
        assert ours.histograms[mean].identity.tolist() == theirs.histograms[mean].identity.tolist()


def test_a_logdir_is_listed_once_and_each_small_object_asked_for_once(store, logs):
    url = store.upload(logs, "once")
    store.requests.clear()
    list(read_logdir(url))
    assert len(store.listings()) == 1
    assert len(store.reads("once/")) == 3
    assert not [request for request in store.requests if request.startswith("HEAD")]


def test_a_large_object_takes_one_request_per_8_mib(store, tmp_path):
    big = eb.VERSION + eb.event(eb.field(4, b"x" * (20 << 20)), step=1) + steps(0, 2)
    (tmp_path / "run").mkdir()
    eb.write(tmp_path / "run", steps(0, 60_000)[: 20 << 20] + big)
    url = store.upload(tmp_path, "large")
    store.requests.clear()
    (run,) = read_logdir(url)
    assert run.files[0].bytes > 20 << 20
    assert len(store.reads("large/")) <= run.files[0].bytes // remote.READ_AHEAD + 2


def test_a_single_object_is_a_run(store, logs):
    url = store.upload(logs, "single")
    (found,) = find_runs(url)[:1]
    (run,) = read_logdir(found.files[0].path)
    assert run.name == "." and run.last_step == 3


def test_the_follower_reads_on_where_an_object_was_replaced_by_a_longer_one(store, tmp_path):
    eb.write(tmp_path / "run", eb.VERSION + steps(0, 3))
    follower = Follower(store.upload(tmp_path, "grows"))
    assert [run.last_step for run in follower.poll()] == [2]
    store.requests.clear()
    assert follower.poll() == () and store.reads("grows/") == []
    eb.write(tmp_path / "run", eb.VERSION + steps(0, 5))
    store.upload(tmp_path, "grows")
    assert [run.last_step for run in follower.poll()] == [4]


def test_the_follower_keeps_what_it_knows_while_the_store_is_away(store, logs):
    follower = Follower(store.upload(logs, "away"))
    follower.poll()
    store.fault = lambda request: 403
    assert follower.poll() == () and len(follower.runs) == 3


def test_refused_requests_are_tried_again(store, logs):
    url = store.upload(logs, "throttled")
    seen = []

    def every_other(request):
        seen.append(request)
        return (503, 0, 500, 0)[len(seen) % 4]

    store.fault = every_other
    assert [run.files[0].status for run in read_logdir(url)] == ["ok"] * 3
    assert len(seen) > 4


def test_small_objects_of_a_slow_store_are_waited_for_together(store, logs):
    url = store.upload(logs, "slow")
    all_asked = threading.Barrier(3)
    store.fault = lambda request: "/slow/" in request and all_asked.wait(30) < 0
    assert [run.files[0].status for run in read_logdir(url)] == ["ok"] * 3


def test_an_answer_that_does_not_come_is_asked_for_again(store, logs):
    url = store.upload(logs, "stuck")
    remote.use({url: {"config_kwargs": {"read_timeout": 1}}})
    seen = set()

    def late_at_first(request):
        if "/stuck/" in request and request not in seen:
            seen.add(request)
            time.sleep(2)
        return 0

    store.fault = late_at_first
    assert [run.files[0].status for run in read_logdir(url)] == ["ok"] * 3
    assert len(store.reads("/stuck/")) > len(seen) == 3


def test_an_object_that_nobody_may_read_costs_one_line(store, logs):
    url = store.upload(logs, "forbidden")
    store.fault = lambda request: 403 if "/a/" in request else 0
    lost, *others = read_logdir(url)
    assert lost.files[0].status == "not_event_file"
    assert lost.files[0].detail.startswith("cannot be read: PermissionError")
    assert [run.files[0].status for run in others] == ["ok", "ok"]


def test_credentials_are_in_no_message(store):
    store.fault = lambda request: 403
    with pytest.raises(Exception) as caught:
        list(read_logdir(f"s3://{BUCKET}/secret"))
    assert SECRET not in str(caught.value) and OPTIONS["key"] not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://ann:hunter2@host/logs", "https://host/logs?X-Amz-Signature=hunter2"],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url):
    with pytest.raises(Exception, match="would be printed") as caught:
        list(read_logdir(url))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://b/x", True),
        ("simplecache::s3://b", True),
        ("/tmp/a", False),
        ("C:/logs", False),
        ("run::1", False),
    ],
)
def test_only_urls_are_remote(path, url):
    assert place.is_url(path) is url


def test_a_range_never_goes_beyond_the_object():
    import fsspec

    fsspec.filesystem("memory").pipe("/ranges", b"0123456789")
    with remote.RemoteFile(FoundFile("memory://ranges", 10)) as file:
        assert (file.read(4, 3), file.read(8, 100), file.read(10, 5)) == (b"456", b"89", b"")
        assert (file.read(0, 10), file.read(2, 2)) == (b"0123456789", b"23")
