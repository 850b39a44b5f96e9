"""What the tab reads, when, and how much of it it keeps."""

import dataclasses
import threading

import numpy as np
import pytest

from bn_tb.errors import BnTbError
from bn_tb.plugin import scanner as scanner_module
from bn_tb.plugin.logs import Folder, folders
from bn_tb.plugin.scanner import Scanner
from bn_tb.runs.run import Run
from bn_tb.runs.series import ScalarSeries
from bn_tb.sources.logdir import FoundRun


class Source:
    """Runs that are made up, one experiment each; remembers what was read and forgotten."""

    notice = ""

    def __init__(self, *names, size=10):
        self.runs = {name: FoundRun(name, "logs", (), size) for name in names}
        self.read_names, self.forgotten = [], []
        self.broken = {}
        self.go = threading.Event()
        self.go.set()

    def find(self):
        """As `Source`."""
        return {("logs", name): [run] for name, run in self.runs.items()}

    def read(self, runs):
        """As `Source`; waits for `go`."""
        self.go.wait()
        names = [run.name for run in runs]
        self.read_names += names
        for name in names:
            if name in self.broken:
                raise self.broken[name]
        steps = np.arange(3)
        loss = ScalarSeries(steps, steps.astype(float), steps.astype(float))
        return [
            Run(name, "logs", scalars={"loss": loss}, first_step=0, last_step=2) for name in names
        ]

    def forget(self, runs):
        """As `Source`."""
        self.forgotten += [run.name for run in runs]

    def grow(self, name):
        """Appends to a run."""
        self.runs[name] = dataclasses.replace(self.runs[name], size=self.runs[name].size + 1)


def when_idle(scanner):
    while (overview := scanner.overview())["busy"]:
        pass
    return {row["run"]: row["verdict"] for row in overview["runs"]}


def diagnosis(scanner, name):
    while (found := scanner.diagnosis(name)) is None:
        pass
    return found


def test_nothing_is_read_before_the_page_asks():
    source = Source("a")
    scanner = Scanner(source)
    assert source.read_names == []
    assert when_idle(scanner) == {"a": "unknown"}
    assert source.read_names == ["a"]


def test_runs_are_listed_before_they_are_read():
    source = Source("a", "b")
    source.go.clear()
    overview = Scanner(source).overview()
    unread = {"verdict": None, "hyperparameters": {}}
    assert overview == {"runs": [{"run": "a"} | unread, {"run": "b"} | unread], "busy": True}
    source.go.set()


def test_the_run_asked_for_is_read_before_the_others():
    source = Source(*"abcdef")
    source.go.clear()
    scanner = Scanner(source)
    scanner.overview()
    assert scanner.diagnosis("e") is None
    source.go.set()
    when_idle(scanner)
    assert source.read_names.index("e") <= 1  # "a" was being read already
    assert sorted(source.read_names) == list("abcdef")


def test_what_nobody_looks_at_any_more_is_not_read(monkeypatch):
    monkeypatch.setattr(scanner_module, "LOOK_SECONDS", 5)
    clock = [0.0]
    source = Source("a", "b")
    source.go.clear()
    scanner = Scanner(source, now=lambda: clock[0])
    scanner.overview()
    clock[0] = 6.0
    source.go.set()
    with scanner._condition:
        scanner._condition.wait_for(lambda: source.read_names and not scanner._working)
    assert source.read_names == ["a"]
    assert diagnosis(scanner, "b").verdict == "unknown"


def test_only_so_much_is_read_without_being_asked_for(monkeypatch):
    monkeypatch.setattr(scanner_module, "BACKGROUND_BYTES", 15)
    source = Source(*"abcd", size=10)
    scanner = Scanner(source)
    verdicts = when_idle(scanner)
    assert list(verdicts.values()).count(None) == 2
    assert diagnosis(scanner, "d").verdict == "unknown"


def test_a_run_that_has_grown_is_read_on_when_the_page_refreshes():
    source = Source("a", "b")
    scanner = Scanner(source)
    when_idle(scanner)
    source.grow("b")
    when_idle(scanner)
    assert source.read_names == ["a", "b"]
    scanner.overview(refresh=True)
    when_idle(scanner)
    assert source.read_names == ["a", "b", "b"]


def test_a_run_that_is_gone_is_forgotten():
    source = Source("a", "b")
    scanner = Scanner(source)
    when_idle(scanner)
    del source.runs["a"]
    scanner.overview(refresh=True)
    assert when_idle(scanner) == {"b": "unknown"}
    assert source.forgotten == ["a"]
    with pytest.raises(KeyError):
        scanner.diagnosis("a")


def test_the_runs_read_first_give_way_but_keep_their_verdicts(monkeypatch):
    monkeypatch.setattr(scanner_module, "MEMORY_POINTS", 2)
    monkeypatch.setattr(scanner_module, "points_of", lambda diagnoses: 1)
    source = Source(*"abcd")
    scanner = Scanner(source)
    assert set(when_idle(scanner).values()) == {"unknown"}
    assert source.forgotten == ["a", "b"]
    assert diagnosis(scanner, "a").verdict == "unknown"
    assert source.read_names == [*"abcd", "a"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(BnTbError("file x: no such"), "file x: no such"), (RuntimeError("oh"), "RuntimeError: oh")],
)
def test_a_run_that_cannot_be_read_says_why_and_the_others_are_read(error, words):
    source = Source("a", "b", "c")
    source.broken["b"] = error
    scanner = Scanner(source)
    assert when_idle(scanner) == {"a": "unknown", "b": "unreadable", "c": "unknown"}
    with pytest.raises(BnTbError, match=words):
        scanner.diagnosis("b")


def test_a_log_directory_that_cannot_be_listed_says_so_and_keeps_its_runs(monkeypatch):
    source = Source("a")
    scanner = Scanner(source)
    when_idle(scanner)
    with monkeypatch.context() as patched:
        patched.setattr(source, "find", lambda: 1 / 0, raising=False)
        assert [run["run"] for run in scanner.overview(refresh=True)["runs"]] == ["a"]
        assert scanner.trouble == (
            "The log directory cannot be listed: ZeroDivisionError: division by zero"
        )
    source.runs["b"] = FoundRun("b", "logs", (), 1)
    scanner.overview(refresh=True)
    assert (set(when_idle(scanner)), scanner.trouble) == ({"a", "b"}, "")


@pytest.mark.parametrize(
    ("logdir", "spec", "wanted"),
    [
        ("logs", "", [Folder("logs")]),
        ("~/logs", "", [Folder("HOME/logs")]),
        ("gs://bucket/logs", "", [Folder("gs://bucket/logs")]),
        ("", "a:/x,b:/y:z", [Folder("/x", "a"), Folder("/y:z", "b")]),
        ("", "/x:y", [Folder("/x:y")]),
        ("", "a:s3://bucket", [Folder("s3://bucket", "a")]),
    ],
)
def test_log_directories_are_understood_as_tensorboard_does(monkeypatch, logdir, spec, wanted):
    monkeypatch.setenv("HOME", "HOME")
    assert list(folders(logdir, spec)) == wanted


@pytest.mark.parametrize(("path", "remote"), [("gs://b", True), ("/x", False), ("C:/x", False)])
def test_only_addresses_are_remote(path, remote):
    assert Folder(path).remote is remote
