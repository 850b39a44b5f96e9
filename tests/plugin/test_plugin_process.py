"""TensorBoard as users start it: a broken tab must not break it, nor make it slow to start."""

import importlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from tensorboard.plugins import base_plugin

from tests.builders import written_logs
from tests.places import ROOT

BREAK = "import sys; sys.modules[{name!r}] = None"  # importing it raises ImportError


@pytest.fixture
def tensorboard(tmp_path):
    """Starts TensorBoard with bn_tb's entry point, and returns its URL and what gives its log."""
    started = []

    def start(before=""):
        site = installed(tmp_path / "site")
        # Without tensorflow TensorBoard starts in seconds, and runs as it does where there is none.
        (site / "sitecustomize.py").write_text(f"{BREAK.format(name='tensorflow')}\n{before}")
        process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", "--logdir", tmp_path / "logs", "--port=0"],
            env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        lines = []

        def log():
            """All lines; TensorBoard has to end for it."""
            process.terminate()
            lines.extend(process.stderr)
            return lines

        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"http://\S+", line):
                return found[0], log
        raise AssertionError(f"TensorBoard did not start:\n{''.join(lines)}")

    written_logs.stale(tmp_path / "logs")
    yield start
    for process in started:
        process.terminate()
        process.wait()


def installed(site):
    """A folder that makes importlib.metadata find bn_tb's entry point, as an installation does."""
    info = site / "bn_tb-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bn_tb\nVersion: 0\n")
    entry = "[tensorboard_plugins]\nbn_tb = bn_tb.plugin.entry:Loader\n"
    (info / "entry_points.txt").write_text(entry)
    return site


def get(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def test_the_tab_is_there_after_an_installation(tensorboard):
    url, _ = tensorboard()
    assert "bn_tb" in get(f"{url}data/plugins_listing")
    assert [run["run"] for run in get(f"{url}data/plugin/bn_tb/runs")["runs"]] == ["stale"]


def test_a_broken_core_leaves_tensorboard_without_the_tab_and_one_line_in_its_log(tensorboard):
    url, log = tensorboard(BREAK.format(name="bn_tb.diagnosis"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(f"{url}data/plugin/bn_tb/runs")
    assert b"bn_tb.diagnosis" in refused.value.read()
    assert get(f"{url}data/plugins_listing")["bn_tb"]["enabled"] is False
    assert get(f"{url}data/runs") == ["stale"]
    (line,) = [line for line in log() if "BatchNorm" in line]
    assert "bn_tb.diagnosis" in line
    assert not any("Traceback" in line for line in log())


@pytest.mark.parametrize("name", ["bn_tb.plugin.plugin", "bn_tb.reports.page.front_end"])
def test_a_broken_plugin_is_no_plugin(monkeypatch, name):
    for loaded in [loaded for loaded in sys.modules if loaded.startswith("bn_tb.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, None)
    entry = importlib.import_module("bn_tb.plugin.entry")
    assert entry.Loader().load(base_plugin.TBContext(logdir="nowhere")) is None


def test_loading_the_tab_leaves_the_core_for_later():
    """Importing it takes some 150 ms; TensorBoard may start at most 50 ms later."""
    code = (
        "import sys; from tensorboard.plugins import base_plugin; "
        "from bn_tb.plugin.entry import Loader; "
        "plugin = Loader().load(base_plugin.TBContext(logdir='nowhere')); "
        "plugin.get_plugin_apps(); "
        "print(*[name for name in sys.modules if name.startswith('bn_tb')])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(out.stdout.split()) == {
        *("bn_tb", "bn_tb.errors", "bn_tb.plugin", "bn_tb.plugin.entry", "bn_tb.plugin.plugin"),
        *("bn_tb.reports", "bn_tb.reports.page", "bn_tb.reports.page.front_end"),
    }


def test_the_entry_module_imports_nothing_heavy():
    code = (
        "import sys, tensorboard.plugins.base_plugin; before = set(sys.modules); "
        "import bn_tb.plugin.entry; print(*set(sys.modules) - before)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    new = set(out.stdout.split())
    assert {name for name in new if "bn_tb" in name} == {
        "bn_tb",
        "bn_tb.plugin",
        "bn_tb.plugin.entry",
    }
    assert not {name for name in new - sys.stdlib_module_names if "." not in name} - {"bn_tb"}
