"""What the scripts do on machines that are not ready for them."""

import os
import subprocess

import pytest

from tests.places import ROOT

SCRIPTS = ("demo", "docs", "test")


@pytest.fixture
def project(tmp_path):
    """The scripts in a project folder of their own, and an empty folder of commands."""
    (tmp_path / "scripts").mkdir()
    for name in (*SCRIPTS, "environment"):
        (tmp_path / "scripts" / name).symlink_to(ROOT / "scripts" / name)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for command in ("sh", "dirname", "cat", "cksum"):
        (bin_folder / command).symlink_to(f"/usr/bin/{command}")
    return tmp_path


def run(project, script):
    return subprocess.run(
        ["/bin/sh", str(project / "scripts" / script)],
        env={"PATH": str(project / "bin")},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def python3(project, body):
    path = project / "bin/python3"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_missing_python3_is_one_clear_line(project, script):
    done = run(project, script)
    assert done.returncode == 1
    assert done.stderr == f"{script}: python3 is missing: install Python 3.10 or newer\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python3_is_one_clear_line(project, script):
    python3(project, 'case "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    done = run(project, script)
    assert done.returncode == 1
    assert done.stderr == f"{script}: Python 3.9.2 is too old: install Python 3.10 or newer\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_python3_without_venv_is_one_clear_line(project, script):
    python3(project, 'case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac')
    done = run(project, script)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{script}: python3 has no venv module: install it (")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("path", ["scripts/demo", "scripts/docs", "scripts/test", ".ci/run"])
def test_scripts_are_executable(path):
    assert os.access(ROOT / path, os.X_OK)
