"""The commands, files and pictures that the documents name are there and work."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from bn_tb.gates import baseline
from bn_tb.training import flags as train_flags
from tests.builders import written_logs
from tests.builders.written_checkpoints import saved_training
from tests.places import ROOT

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "BUILD.md", *ROOT.glob("docs/*.md")])
LOGS = {
    "logs/NoCD/train": written_logs.stale,
    "logs/BN/train": written_logs.healthy,
    "logs/demo/NoCD/train": written_logs.stale,
    "logs/before": written_logs.stale,
    "logs/after": written_logs.healthy,
    "checkpoints": saved_training,
}


def commands(program):
    """Returns the command lines of a program in code blocks, without prompts and comments."""
    lines = (line for path in DOCUMENTS for line in path.read_text(encoding="utf-8").splitlines())
    found = (re.match(rf"(?:\$ | {{4}})?({program}(?: .*)?)$", line) for line in lines)
    return sorted({match[1].partition("  #")[0].partition(" >")[0] for match in found if match})


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    for name, write in LOGS.items():
        (folder / name).mkdir(parents=True)
        write(folder / name)
    (folder / "known.json").write_text(baseline.dump(()), encoding="utf-8")
    return folder


@pytest.mark.parametrize("command", commands("bn_tb.analyze"))
def test_every_analyze_command_works(command, logs):
    if "--watch" in command or "://" in command or "/dask.json" in command:
        command += " --help"  # else it would watch for ever, or want a place that is not here
    arguments = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "bn_tb.analyze", *arguments],
        cwd=logs,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout or "--output" in command or "--update_baseline" in command


@pytest.mark.parametrize("command", commands("python -m bn_tb.train"))
def test_every_train_command_has_flags_that_exist(command):
    train_flags.options(train_flags.parse(shlex.split(command)[3:]))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_script_that_a_document_names_exists(path):
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:scripts|tests|bn_tb|docs)/[\w/]+\.(?:py|md|png|json)\b", text))
    named |= set(re.findall(r"\./(scripts/\w+)(?!\.py)\b", text))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_picture_leads_somewhere(path):
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_three_calls_that_the_package_shows_work(logs):
    shown = (ROOT / "bn_tb/__init__.py").read_text(encoding="utf-8").partition("\n\n")[2]
    calls = "".join(re.findall(r"^    (.*\n)", shown.partition("\n\n")[0] + "\n", re.MULTILINE))
    done = subprocess.run(
        [sys.executable, "-c", f"import bn_tb\n{calls}"],
        cwd=logs,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "BN101" in done.stdout, done.stderr
