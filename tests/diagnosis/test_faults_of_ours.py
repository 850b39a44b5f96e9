"""A fault that nobody foresaw costs the run that it is in, wherever it happens."""

import importlib
import os

import pytest

import bn_tb
from bn_tb import analyze
from tests.builders import event_bytes as eb
from tests.builders import written_logs as logs

STAGES = (
    "bn_tb.sources.logdir.read_on",
    *(
        f"bn_tb.diagnosis.diagnosing.{name}"
        for name in ("find_layers", "clock_of", "lags_of", "activity_of", "fold", "layer_diagnoses")
    ),
)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("float division by zero")])
def test_a_fault_in_any_stage_costs_one_run(monkeypatch, tmp_path, stage, error):
    logs.stale(tmp_path)
    logs.broken(tmp_path)
    monkeypatch.setattr("bn_tb.sources.logdir.SMALL_BYTES", 0)  # each run is read alone
    module, _, name = stage.rpartition(".")
    inner, calls = getattr(importlib.import_module(module), name), []

    def failing_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise error
        return inner(*arguments)

    monkeypatch.setattr(stage, failing_once)
    failed, judged = sorted(
        bn_tb.diagnose(bn_tb.read_logdir(tmp_path)), key=lambda run: run.verdict != "unreadable"
    )
    told = failed.problem or failed.findings[0].evidence[0]
    assert failed.verdict == "unreadable" and type(error).__name__ in told
    assert judged.verdict in ("stale", "broken") and judged.findings


def test_the_command_line_says_which_run_failed_and_exits_with_2(monkeypatch, tmp_path, capsys):
    logs.stale(tmp_path)
    monkeypatch.setattr("bn_tb.diagnosis.diagnosing.fold", lambda found: 1 // 0)
    assert analyze.main([str(tmp_path), "--format=json"]) == 2
    shown = capsys.readouterr()
    assert '"verdict": "unreadable"' in shown.out
    assert shown.err.startswith("bn_tb: run stale: bn_tb failed on it (ZeroDivisionError")
    assert shown.err.count("\n") == 1


def test_a_path_that_cannot_be_looked_at_costs_one_line(tmp_path):
    logs.stale(tmp_path)
    os.symlink("loop", tmp_path / "loop")
    os.symlink("nowhere", tmp_path / "events.out.tfevents.9.gone")
    os.mkfifo(tmp_path / "events.out.tfevents.8.pipe")
    found = {run.subject.run.name: run for run in bn_tb.diagnose(bn_tb.read_logdir(tmp_path))}
    assert found["stale"].verdict == "stale"
    assert found["loop"].verdict == "unreadable"
    assert "cannot be looked at" in found["loop"].findings[0].evidence[0]
    assert found["."].verdict == "unreadable"


@pytest.mark.parametrize("base", [2**63 - 100, -(2**63), 2**53])
def test_steps_at_the_ends_of_int64_are_judged(tmp_path, base):
    events = [
        eb.summary(base + k, eb.histogram("bn/moving_mean", [k / 9]),
                   eb.histogram("bn/moving_variance", [1 + k / 9]))
        for k in range(99)
    ]  # fmt: skip
    eb.write(tmp_path, eb.VERSION + b"".join(events))
    (run,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert (run.problem, [layer.points for layer in run.layers]) == ("", [99])
