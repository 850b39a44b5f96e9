"""The public names of bn_tb, and what the command line does in three calls."""

import subprocess
import sys

import numpy as np
import pytest

import bn_tb
from bn_tb import analyze
from tests.builders import written_logs as logs
from tests.places import ROOT


@pytest.mark.parametrize("name", bn_tb.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name):
    value = getattr(bn_tb, name)
    assert value.__doc__
    assert name in dir(bn_tb)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = bn_tb.analyse


def test_diagnose_stays_a_function_whatever_is_imported_before():
    code = "import bn_tb.diagnosis, bn_tb.reports.text, bn_tb; assert callable(bn_tb.diagnose)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_importing_bn_tb_imports_nothing_else_of_ours():
    code = (
        "import sys, bn_tb\n"
        "sys.exit(sorted(n for n in sys.modules if n.startswith('bn_tb.')) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_three_calls_give_what_the_command_line_gives(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for kind in logs.KINDS:
        kind(tmp_path / "logs")
    status = analyze.main(["logs", "--format=json"])
    runs = bn_tb.read_logdir("logs")
    diagnoses = bn_tb.diagnose(runs)
    assert bn_tb.render(diagnoses, "json") == capsys.readouterr().out
    assert bn_tb.Report(diagnoses).exit_code == status


@pytest.mark.parametrize("format", bn_tb.RENDERERS)
def test_every_format_renders_diagnoses_as_it_renders_their_report(tmp_path, format):
    logs.stale(tmp_path)
    diagnoses = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert bn_tb.render(diagnoses, format) == bn_tb.render(bn_tb.Report(diagnoses), format)


def test_example_script_writes_a_report_and_names_what_fails(tmp_path):
    logs.stale(tmp_path / "logs")
    target = tmp_path / "report.md"
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/example_report.py", tmp_path / "logs", target],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "stale: BN101 never-updated: bn1, bn2\n"
    assert "**stale**" in target.read_text(encoding="utf-8")


def test_series_become_data_frames(tmp_path):
    pytest.importorskip("pandas", exc_type=ImportError)
    logs.healthy(tmp_path)
    (run,) = bn_tb.read_logdir(tmp_path)
    series = run.histograms["bn1.running_mean"]
    frame = series.to_pandas()
    assert frame.index.name == "step"
    assert frame.index.tolist() == series.steps.tolist()
    np.testing.assert_array_equal(frame["band_0.5"], series.bands[:, 4])
    np.testing.assert_array_equal(frame["mean"], series.mean)
    loss = run.scalars["loss"].to_pandas()
    assert loss["value"].iloc[1] == pytest.approx(0.5)
