"""Completion in a real bash; for the other shells, that every flag is there."""

import shutil
import subprocess

import pytest

from bn_tb.command import completion
from bn_tb.command.flags import GROUPS
from bn_tb.reports import RENDERERS

NAMES = [flag.name for group in GROUPS.values() for flag in group]


def bash_completes(words):
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    program = completion.script("bash") + (
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        '_bn_tb_analyze; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_names_of_flags():
    assert bash_completes(["bn_tb.analyze", "--mo"]) == ["--momentum="]
    assert len(bash_completes(["bn_tb.analyze", "logs", "--"])) == len(NAMES)


def test_bash_completes_values_after_the_equals_sign():
    assert bash_completes(["bn_tb.analyze", "--format", "=", "j"]) == ["json", "junit"]
    assert bash_completes(["bn_tb.analyze", "--format", "="]) == list(RENDERERS)


def test_bash_leaves_file_names_to_the_shell():
    assert bash_completes(["bn_tb.analyze", "lo"]) == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_every_flag_is_in_the_script(shell):
    script = completion.script(shell)
    mark = "--{}" if shell == "zsh" else "-l {} "
    assert all(mark.format(name) in script for name in NAMES)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_shell_takes_the_script(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(completion.script(shell))
    subprocess.run([shell, "-n", path], check=True)
