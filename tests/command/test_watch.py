"""--watch: what is said when, without sleeping; and the command run for findings."""

import json
import os
import shlex
import sys

import pytest

from bn_tb import UsageError, View, terminal
from bn_tb.command.hook import MOST_AT_ONCE, Hook
from bn_tb.command.watch import UNTIL_QUIET, Watcher
from bn_tb.command.watch_terminal import watch
from bn_tb.diagnosis import Options
from bn_tb.gates.compare import Kind
from bn_tb.settings import Settings
from bn_tb.sources.follow import Follower
from tests.builders import event_bytes as eb
from tests.builders import written_logs as logs


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        """Returns seconds."""
        return self.seconds


def watcher(folder, clock=None, **options):
    return Watcher(Follower(folder), Options(**options), Settings().gate(), clock or Clock())


def append(folder, records, name="events.out.tfevents.1.host"):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("ab") as file:
        file.write(records)


def said(look):
    return [(change.kind, change.finding.code) for change in look.changes]


def test_finding_is_said_when_it_appears_and_only_once(tmp_path):
    run = tmp_path / "run"
    append(run, eb.VERSION + logs.statistics(range(1), 1.0))
    watching = watcher(tmp_path)
    assert said(watching.look()) == []
    append(run, logs.statistics(range(1, 20), 1.0))
    assert said(watching.look()) == [(Kind.CAUSED, "BN101")]
    append(run, logs.statistics(range(20, 40), 1.0))
    assert said(watching.look()) == []


def test_finding_is_said_to_be_cured(tmp_path):
    run = tmp_path / "run"
    append(run, eb.VERSION + logs.statistics(range(20), 1.0))
    watching = watcher(tmp_path)
    assert said(watching.look()) == [(Kind.CAUSED, "BN101")]
    append(run, logs.statistics(range(20, 60), 0.5))
    assert (Kind.CURED, "BN101") in said(watching.look())


def test_new_run_and_new_file_of_a_run_are_seen(tmp_path):
    append(tmp_path / "a", eb.VERSION + logs.statistics(range(20), 0.5))
    watching = watcher(tmp_path)
    assert said(watching.look()) == []
    append(tmp_path / "b", eb.VERSION + logs.statistics(range(20), 1.0))
    assert said(watching.look()) == [(Kind.CAUSED, "BN101")]
    rotated = eb.VERSION + logs.statistics(range(20, 40), 0.5, poison=30)
    append(tmp_path / "a", rotated, "events.out.tfevents.2.host")
    assert (Kind.CAUSED, "BN301") in said(watching.look())


def test_run_that_vanishes_cures_nothing(tmp_path):
    append(tmp_path / "a", eb.VERSION + logs.statistics(range(20), 1.0))
    append(tmp_path / "b", eb.VERSION + logs.statistics(range(20), 0.5))
    watching = watcher(tmp_path)
    watching.look()
    (tmp_path / "a" / "events.out.tfevents.1.host").unlink()
    look = watching.look()
    assert said(look) == []
    assert [run.subject.run.name for run in look.report.runs] == ["b"]


def test_folder_that_does_not_exist_yet_is_waited_for(tmp_path):
    watching = watcher(tmp_path / "later")
    assert watching.look().report.runs == ()
    append(tmp_path / "later", eb.VERSION + logs.statistics(range(20), 1.0))
    assert said(watching.look()) == [(Kind.CAUSED, "BN101")]


def test_runs_without_news_are_not_judged_again(tmp_path):
    append(tmp_path / "a", eb.VERSION + logs.statistics(range(20), 0.5))
    append(tmp_path / "b", eb.VERSION + logs.statistics(range(20), 0.5))
    watching = watcher(tmp_path)
    before = watching.look().report.runs
    append(tmp_path / "b", logs.statistics(range(20, 25), 0.5))
    after = watching.look().report.runs
    assert after[0] is before[0]
    assert after[1] is not before[1]


def test_growing_run_that_lags_is_no_news_until_it_is_quiet(tmp_path):
    """Every run lags at its beginning: an alarm at each start would be silenced for ever."""
    append(tmp_path / "run", eb.VERSION + logs.statistics(range(50), 0.99))
    clock = Clock()
    watching = watcher(tmp_path, clock, momentum=0.99)
    look = watching.look()
    assert said(look) == []
    assert look.report.runs[0].verdict == "lagging"
    clock.seconds += UNTIL_QUIET
    assert said(watching.look()) == [(Kind.CAUSED, "BN201")]


def test_piped_watch_prints_one_line_per_change_and_returns_the_last_status(tmp_path, capsys):
    run = tmp_path / "run"

    def ticks():
        append(run, eb.VERSION + logs.statistics(range(20), 1.0))
        yield
        yield
        append(run, logs.statistics(range(20, 60), 0.5))
        yield
        raise KeyboardInterrupt

    status = watch(watcher(tmp_path), ticks(), View(), None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("step 19 appeared error BN101 never-updated in run: bn1, bn2")
    assert any("step 59 cured error BN101 never-updated in run: bn1, bn2" in li for li in lines)
    assert sum("BN101" in line for line in lines) == 2
    assert status == 0


def test_piped_watch_ends_when_its_reader_goes_away(tmp_path, monkeypatch):
    append(tmp_path / "run", eb.VERSION + logs.statistics(range(20), 1.0))
    monkeypatch.setattr(terminal, "write_stdout", lambda text: False)
    ticks = iter([None, None])
    assert watch(watcher(tmp_path), ticks, View(), None) == 1
    assert len(list(ticks)) == 1


def test_terminal_watch_ends_with_the_whole_report(tmp_path, capsys, monkeypatch):
    append(tmp_path / "run", eb.VERSION + logs.statistics(range(20), 1.0))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert watch(watcher(tmp_path), iter([None]), View(), None) == 1
    assert "STALE" in capsys.readouterr().out


RECORD = [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '|')"]


def command(*arguments):
    return shlex.join([*RECORD, *map(str, arguments)])


def test_command_gets_the_finding_as_json_on_its_standard_input(tmp_path):
    append(tmp_path / "run", eb.VERSION + logs.statistics(range(20), 1.0))
    hook = Hook(command(tmp_path / "got"), pytest.fail)
    watch(watcher(tmp_path), iter([None, None]), View(), hook)
    (document,) = (tmp_path / "got").read_text().split("|")[:-1]
    finding = json.loads(document)
    assert (finding["run"], finding["code"]) == ("run", "BN101")


def test_no_part_of_a_log_reaches_a_shell(tmp_path):
    evil = "$(touch owned); `touch owned`; '; touch owned #"
    append(tmp_path / "run", eb.VERSION + logs.statistics(range(20), 1.0, layers=(evil,)))
    hook = Hook(command(tmp_path / "got"), pytest.fail)
    watch(watcher(tmp_path), iter([None]), View(), hook)
    assert evil in json.loads((tmp_path / "got").read_text()[:-1])["layers"][0]
    assert not list(tmp_path.rglob("owned"))


def test_suppressed_and_minor_findings_run_no_command(tmp_path):
    append(tmp_path / "run", eb.VERSION + logs.statistics(range(20), 1.0))
    watching = Watcher(Follower(tmp_path), Options(), Settings(fail_on="never").gate(), Clock())
    watch(watching, iter([None]), View(), Hook(command(tmp_path / "got"), pytest.fail))
    assert not (tmp_path / "got").exists()


def test_commands_beyond_the_bound_wait_for_their_turn(tmp_path):
    os.mkfifo(tmp_path / "gate")
    gate = os.open(tmp_path / "gate", os.O_RDWR)
    code = "import os, sys; os.read(os.open(sys.argv[1], os.O_RDONLY), 1)"
    hook = Hook(shlex.join([sys.executable, "-c", code, str(tmp_path / "gate")]), pytest.fail)
    for number in range(6):
        hook.run({"number": number})
    assert len(hook._running) == MOST_AT_ONCE < 6
    os.write(gate, b"......")  # each command takes one byte and ends
    hook.wait()
    os.close(gate)
    assert not hook._running


def test_failing_command_is_said_once():
    notes = []
    hook = Hook(f"{sys.executable} -c 'import sys; sys.exit(3)'", notes.append)
    for _ in range(3):
        hook.run({})
    hook.wait()
    (note,) = notes
    assert note.endswith("ended with exit status 3 (said once)")


def test_unknown_program_is_a_usage_error_before_anything_is_read():
    with pytest.raises(UsageError, match="no program 'no-such'"):
        Hook("no-such program", print)
    with pytest.raises(UsageError, match="No closing quotation"):
        Hook("echo 'x", print)
