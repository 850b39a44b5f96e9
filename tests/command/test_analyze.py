"""The command line `bn_tb.analyze`: exit statuses, gates, streams, errors."""

import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

from bn_tb import analyze
from bn_tb.command import flags as analyze_flags
from bn_tb.command import progress
from bn_tb.errors import UsageError
from bn_tb.sources.logdir import Progress
from tests.builders import written_logs as logs
from tests.places import ROOT

TOLD = {"lagging": ["--momentum=0.999"]}
"""What a log of that kind does not say."""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for kind in logs.KINDS:
        kind(folder)
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Every test runs in a folder without configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)


def run(*arguments):
    return analyze.main([str(argument) for argument in arguments])


def command(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "bn_tb.analyze", *map(str, arguments)],
        capture_output=True,
        env=environment | options.pop("env", {}),
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("kind", "status", "verdict"),
    [
        ("healthy", 0, "healthy"),
        ("stale", 1, "stale"),
        ("lagging", 1, "lagging"),
        ("broken", 1, "broken"),
        ("unreadable", 2, "unreadable"),
        ("not_logged", 3, "not-logged"),
        ("no_batch_norm", 3, "unknown"),
    ],
)
def test_exit_status_says_what_was_found(logdir, capsys, kind, status, verdict):
    assert run(logdir / kind, *TOLD.get(kind, ()), "--format=json") == status
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == status
    assert [entry["verdict"] for entry in document["runs"]] == [verdict]


@pytest.mark.parametrize("format", ["text", "json", "html", "sarif", "junit", "markdown"])
@pytest.mark.parametrize("kind", [kind.__name__ for kind in logs.KINDS])
def test_every_format_renders_every_kind_of_log(logdir, capsys, kind, format):
    status = run(logdir / kind, *TOLD.get(kind, ()), f"--format={format}")
    captured = capsys.readouterr()
    assert captured.out
    assert captured.err == ""
    assert status in (0, 1, 2, 3)


def test_judged_and_unjudged_runs_together_are_judged(logdir, capsys):
    assert run(logdir / "healthy", logdir / "no_batch_norm", logdir / "unreadable") == 0
    assert "3 runs: 1 healthy, 1 unknown, 1 unreadable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fail_on", "status"), [("never", 0), ("error", 0), ("warning", 1), ("info", 1)]
)
def test_fail_on_sets_the_severity_from_which_findings_fail(logdir, fail_on, status):
    paths = (logdir / "unreadable", logdir / "healthy")  # a warning beside a healthy run
    assert run(*paths, f"--fail_on={fail_on}") == status


def test_missing_logdir_is_said_and_the_others_are_judged(logdir, capsys):
    assert run(logdir / "healthy", "helthy") == 2
    captured = capsys.readouterr()
    assert "HEALTHY" in captured.out
    assert captured.err == "bn_tb: helthy: no such file or folder\n"


def test_mistyped_logdir_names_the_nearest_one(logdir, capsys):
    assert run(logdir / "helthy") == 2
    assert f"did you mean {logdir / 'healthy'}?" in capsys.readouterr().err


def test_folder_without_event_files_says_which_folder_to_give(tmp_path, capsys):
    assert run(tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"bn_tb: .*no event files .*tensorboard --logdir\n", captured.err)


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path, capsys):
    (tmp_path / "model.ckpt-100.index").write_bytes(b"half of an index")
    assert run(tmp_path) == 2
    told = " ".join(capsys.readouterr().out.split())  # a long path moves to a line of its own
    assert "model.ckpt-100: it does not end as a TensorFlow index" in told


def test_checkpoints_are_left_out_on_request(tmp_path, capsys):
    (tmp_path / "model.ckpt-100.index").write_bytes(b"half of an index")
    assert run("--nocheckpoints", tmp_path) == 2
    assert "no event files" in capsys.readouterr().err


def test_remote_logdir_says_what_to_do(capsys):
    assert run("nowhere://bucket/logs") == 2
    assert "nowhere://bucket/logs: cannot be opened: " in capsys.readouterr().err


def test_name_of_a_foreign_file_cannot_steer_the_terminal(tmp_path, capsys):
    (tmp_path / "\x1b]0;owned\x07.ckpt").touch()
    assert run(tmp_path) == 2
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"\x1b]0;owned\x07.ckpt" in out


def test_one_event_file_is_a_logdir(logdir, capsys):
    (file,) = (logdir / "stale").iterdir()
    assert run(file, "--format=json") == 1
    assert json.loads(capsys.readouterr().out)["runs"][0]["run"] == "."


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "no LOGDIR given"),
        (["--formt=json", "x"], "Did you mean: format"),
        (["--format=yaml", "x"], "text|json|html|sarif|junit|markdown"),
        (["--momentum=fast", "x"], "could not convert"),
        (["--momentum=1.5", "x"], "at least 0 and below 1"),
        (["--updates_per_step=0", "x"], "above 0"),
        (["--select=BN7", "x"], "no code starts with 'BN7'"),
        (["--ignore=", "x", "--ignore=unknown"], "no code starts with 'UNKNOWN'"),
        (["--mean_tag=(", "x"], "no regular expression"),
        (["--explain=BN999"], "did you mean BN"),
        (["--update_baseline", "x"], "--baseline=FILE"),
        (["--baseline=missing.json", "x"], "no such baseline"),
        (["--config=missing.toml", "x"], "missing.toml: cannot read"),
        (["--diff", "x"], "want two logdirs"),
        (["--diff", "--update_baseline", "x", "y"], "goes with a report alone"),
        (["--on_finding=true", "x"], "needs --watch"),
        (["--watch", "--on_finding=no-such-program", "x"], "no program 'no-such-program'"),
        (["--watch", "--format=json", "x"], "leave --format"),
    ],
)
def test_usage_error_is_one_line_that_says_what_to_do(arguments, line):
    with pytest.raises(UsageError) as caught:
        run(*arguments)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_usage_error_is_printed_to_stderr_and_exits_with_2():
    done = command("--bad")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("bn_tb: Unknown command line flag 'bad'")
    assert done.stderr.count("\n") == 1


def test_flags_may_follow_the_logdirs_and_stop_at_two_dashes(logdir):
    assert run(logdir / "stale", "--fail_on=never") == 0
    assert run("--fail_on=never", "--", logdir / "stale") == 0


def test_select_and_ignore_choose_what_fails(logdir):
    assert run(logdir / "stale", "--ignore=BN1") == 0
    assert run(logdir / "stale", "--select=bn1") == 1
    assert run(logdir / "stale", "--select=BN3") == 0


def test_frozen_layers_are_not_stale(logdir, capsys):
    assert run(logdir / "stale", "--frozen=bn*", "--format=json") == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["verdict"] == "frozen"
    assert run(logdir / "stale", "--frozen=other*") == 1


def test_help_lists_every_flag_of_ours_and_no_other(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    shown = re.findall(r"^  (?:-\w, )?--(?:no)?(\w+)", text, re.MULTILINE)
    ours = [flag.name for group in analyze_flags.GROUPS.values() for flag in group]
    assert shown == ours
    assert all(len(line) <= 100 for line in text.splitlines())


def test_list_rules_and_explain_print_the_manual(capsys):
    assert run("--list_rules") == 0
    assert re.search(r"^BN101  error   never-updated +\w", capsys.readouterr().out, re.MULTILINE)
    assert run("--explain=bn101") == run("--explain=never-updated") == 0
    assert capsys.readouterr().out.count("# BN101 never-updated (error)") == 2


def test_explain_tells_the_limits_and_where_they_come_from(capsys):
    run("--explain=BN201")
    assert re.search(r"- `limits\.BN201\.lagging = 0\.05` \(.+\): .+", capsys.readouterr().out)


def test_show_tags_says_how_each_tag_was_understood(logdir, capsys):
    assert run(logdir / "stale", "--show_tags") == 0
    text = capsys.readouterr().out
    assert "bn1.running_mean: moving_mean of layer bn1" in text
    assert "loss: not of batch norm" in text


def test_show_tags_says_what_was_read_of_each_checkpoint(tmp_path, capsys):
    from tests.builders import checkpoint_bytes as cb

    names = ["bn.running_mean", "bn.running_var"]
    archive = cb.torch_zip(cb.torch_state([*names, "fc.other"]), [bytes(12)] * 3)
    (tmp_path / "epoch_1.pth").write_bytes(archive)
    (tmp_path / "epoch_2.pth").write_bytes(archive)
    (tmp_path / "epoch_3.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert run(tmp_path, "--show_tags") == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  checkpoint {tmp_path / 'epoch_2.pth'}: PyTorch, point 2, 3 tensors in " in lines[2]
    assert lines[3].endswith("epoch_3.pth: not read: a Git LFS pointer, not the file itself: "
                             "run git lfs pull")  # fmt: skip
    read = [line for line in lines if line.endswith("; read of 2 checkpoints")]
    assert [line.split(":")[0].strip() for line in read] == names


def test_mean_tag_teaches_a_new_name(tmp_path, capsys):
    from tests.builders import event_bytes as eb

    records = [
        eb.summary(s, eb.histogram("l1/mu_hat", [0.0]), eb.histogram("l1/var_hat", [1.0]),
                   eb.scalar("loss", 1 / (s + 1)))
        for s in range(20)
    ]  # fmt: skip
    eb.write(tmp_path / "logs", eb.VERSION + b"".join(records))
    assert run(tmp_path / "logs") == 3
    taught = ("--mean_tag=(.*)/mu_hat", "--variance_tag=(.*)/var_hat")
    assert run(tmp_path / "logs", *taught) == 1
    assert "never-updated" in capsys.readouterr().out


def test_baseline_lets_known_findings_pass_and_new_ones_fail(logdir, tmp_path, capsys):
    logs.stale(tmp_path / "logs")
    known = f"--baseline={tmp_path / 'known.json'}"
    assert run(tmp_path / "logs", known, "--update_baseline") == 0
    assert run(tmp_path / "logs", known) == 0
    assert run(logdir, known) == 1
    capsys.readouterr()
    run(logdir, known, "--format=json")
    states = {
        finding["code"]: finding["baseline"]
        for entry in json.loads(capsys.readouterr().out)["runs"]
        for finding in entry["findings"]
    }
    assert (states["BN101"], states["BN301"]) == ("known", "new")


def test_baseline_says_which_findings_are_cured(tmp_path, capsys):
    logs.stale(tmp_path / "old")
    known = f"--baseline={tmp_path / 'known.json'}"
    run(tmp_path / "old", known, "--update_baseline")
    (tmp_path / "old" / "stale").rename(tmp_path / "stale_before")
    logs.healthy(tmp_path / "old")
    (tmp_path / "old" / "healthy").rename(tmp_path / "old" / "stale")
    capsys.readouterr()
    assert run(tmp_path / "old", known) == 0
    assert "cured since the baseline: BN101 in stale bn1, bn2" in capsys.readouterr().out


def test_baseline_file_is_stable_and_reviewable(logdir, tmp_path):
    file = tmp_path / "known.json"
    run(logdir, f"--baseline={file}", "--update_baseline")
    first = file.read_text()
    run(logdir, f"--baseline={file}", "--update_baseline")
    assert file.read_text() == first
    entries = json.loads(first)["findings"]
    assert {"run": "stale", "code": "BN101", "layers": ["bn1", "bn2"]}.items() <= next(
        entry for entry in entries if entry["code"] == "BN101"
    ).items()


def test_diff_says_what_a_change_cured_and_caused(logdir, capsys):
    assert run("--diff", logdir / "stale", logdir / "healthy") == 0
    assert "cured: error BN101 never-updated" in capsys.readouterr().out
    assert run("--diff", logdir / "healthy", logdir / "broken") == 1
    assert "caused: error BN301 non-finite-statistics" in capsys.readouterr().out


def test_diff_of_equal_logs_fails_nothing(logdir, capsys):
    assert run("--diff", logdir / "stale", logdir / "stale", "--format=json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["caused"], document["cured"]) == ([], [])
    assert [finding["code"] for finding in document["unchanged"]] == ["BN101"]


def test_output_is_written_in_one_step_and_stdout_stays_empty(logdir, tmp_path, capsys):
    target = tmp_path / "report.txt"
    target.write_text("old")
    assert run(logdir / "stale", f"--output={target}") == 1
    assert "STALE" in target.read_text(encoding="utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.txt"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"bn_tb: report written to {target}\n"


def test_output_keeps_the_old_file_when_writing_fails(logdir, tmp_path, monkeypatch):
    target = tmp_path / "report.txt"
    target.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(UsageError, match=r"report\.txt: cannot write the report: No space"):
        run(logdir / "stale", f"--output={target}")
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.txt"]


def test_output_follows_a_link_and_leaves_devices_alone(logdir, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    run(logdir / "stale", f"--output={tmp_path / 'link'}")
    assert (tmp_path / "link").is_symlink()
    assert "STALE" in (tmp_path / "target").read_text(encoding="utf-8")
    run(logdir / "stale", "--output=/dev/null")
    assert not pathlib.Path("/dev/null").is_file()


def test_analyze_imports_no_framework(logdir):
    code = (
        "import sys\n"
        "from bn_tb import analyze\n"
        f"analyze.main([{str(logdir)!r}])\n"
        "heavy = {'tensorflow', 'torch', 'keras', 'tensorboard', 'jax', 'pandas'}\n"
        "sys.exit(sorted(heavy & {name.split('.')[0] for name in sys.modules}) or 0)\n"
    )
    root = ROOT
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_bn_tb_and_help_import_neither_numpy_nor_rich():
    code = (
        "import sys, bn_tb\n"
        "from bn_tb import analyze\n"
        "analyze.main(['--help'])\n"
        "sys.exit(sorted({'numpy', 'rich', 'google'} & set(sys.modules)) or 0)\n"
    )
    root = ROOT
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_broken_pipe_ends_quietly(logdir):
    root = ROOT
    process = subprocess.Popen(
        [sys.executable, "-m", "bn_tb.analyze", str(logdir / "stale"), "--format=html"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_is_one_line_and_exits_with_2(logdir):
    root = ROOT
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bn_tb.analyze", str(logdir / "stale")],
            cwd=root,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (
        2,
        "bn_tb: standard output: No space left on device\n",
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("logs", "status"), [(["stale"], 1), (["healthy"], 0), (["x"], 2)])
def test_notes_on_a_full_disk_change_no_exit_status(logdir, tmp_path, logs, status):
    output = f"--output={tmp_path}/report.txt"  # noted on standard error
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bn_tb.analyze", *logs, output],
            cwd=logdir,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=full,
        )
    assert done.returncode == status


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")
def test_closed_streams_change_no_exit_status(logdir):
    line = f"{sys.executable} -m bn_tb.analyze {logdir / 'stale'} >&- 2>&-"
    done = subprocess.run(["sh", "-c", line], cwd=ROOT)
    assert done.returncode == 1


@pytest.mark.parametrize(("seconds", "shown"), [(0.9, False), (1.1, True)])
def test_reading_of_more_than_a_second_shows_bytes_and_runs_on_a_terminal(
    monkeypatch, seconds, shown
):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    clock = iter([0.0, seconds, seconds])
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.told(now=lambda: next(clock)) as tell:
        tell(Progress(3_000_000, 12_000_000, 4, 1_500))
        assert ("3.0/12.0 MB" in terminal.getvalue()) is shown
        assert ("4 of 1,500 runs" in terminal.getvalue()) is shown
    assert terminal.getvalue().endswith("\x1b[2K") is shown  # wiped out


def test_nobody_is_told_of_progress_in_a_pipe(logdir):
    with progress.told() as tell:
        assert tell is None


def test_bug_ends_with_70_and_its_traceback_and_never_like_findings(monkeypatch, capsys):
    def broken(argv):
        raise ZeroDivisionError("ours\x1b[2J")

    monkeypatch.setattr(analyze, "main", broken)
    with pytest.raises(SystemExit) as caught:
        analyze.console_main()
    assert caught.value.code == 70
    error = capsys.readouterr().err
    assert "Traceback" in error and "ZeroDivisionError: ours\\x1b[2J" in error
    assert "bug in bn_tb" in error.splitlines()[-1]


def test_interrupt_ends_quietly_with_130(monkeypatch, capsys):
    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(analyze, "main", interrupted)
    with pytest.raises(SystemExit) as caught:
        analyze.console_main()
    assert caught.value.code == 128 + signal.SIGINT
    assert capsys.readouterr().err == ""


def test_piped_text_is_plain_and_forced_colour_is_coloured(logdir):
    assert "\x1b" not in command(logdir / "stale").stdout
    assert "\x1b[1;31m" in command(logdir / "stale", env={"FORCE_COLOR": "1"}).stdout
    both = command(logdir / "stale", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout
    assert "\x1b[1;31m" not in both


def test_columns_set_the_width(logdir):
    wide = command(logdir / "stale", env={"COLUMNS": "140"}).stdout
    assert max(map(len, wide.splitlines())) > 100


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_every_output_encoding_can_take_the_report(tmp_path, encoding):
    from tests.builders import event_bytes as eb

    records = logs.statistics(range(5), 1.0, layers=("слой/bn", "層/bn"))
    eb.write(tmp_path / "logs", eb.VERSION + records)
    done = subprocess.run(
        [sys.executable, "-m", "bn_tb.analyze", str(tmp_path / "logs")],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (1, b"")
    text = done.stdout.decode(encoding)
    assert r"\u5c64/bn" in text


@pytest.mark.parametrize(
    ("given", "means"),
    [
        (["--fail-on=warning"], {"fail_on": "warning"}),
        (["--updates-per-step", "2"], {"updates_per_step": 2.0}),
        (["--no-checkpoints"], {"checkpoints": False}),
        (["--output-format=json"], {"format": "json"}),
        (["-q", "-v", "-V"], {"quiet": True, "verbose": True, "version": True}),
    ],
)
def test_flags_take_dashes_letters_and_what_linters_call_them(given, means):
    values, logdirs = analyze_flags.parse([*given, "logs-2026"])
    assert {name: values[name].value for name in means} == means
    assert logdirs == ["logs-2026"]


def test_dashes_in_values_and_after_two_dashes_are_left_alone():
    values, logdirs = analyze_flags.parse(["--ignore=BN1-x", "--", "--fail-on"])
    assert (values.ignore, logdirs) == (["BN1-x"], ["--fail-on"])


def test_an_unknown_flag_is_one_line_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"fail-onn.*fail_on"):
        analyze_flags.parse(["--fail-onn=error", "logs"])


def test_statistics_count_the_findings_of_each_code(logdir, capsys):
    status = run(logdir, "--statistics")
    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert any(re.fullmatch(r" +\d+  BN101  never-updated +error +\d+ layers? in \d runs?", line)
               for line in lines)  # fmt: skip
    counts = [int(line.split()[0].replace(",", "")) for line in lines]
    assert counts == sorted(counts, reverse=True)


def test_quiet_says_what_went_wrong_and_nothing_else(logdir, tmp_path):
    done = command(logdir, tmp_path / "nowhere", "-q", f"--output={tmp_path / 'report'}")
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and "no such file or folder" in done.stderr
