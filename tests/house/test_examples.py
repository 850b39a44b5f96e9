"""The examples run as they stand, warn of their fault, and are repaired."""

import json
import os
import re
import subprocess
import sys

import pytest

import bn_tb
from tests.places import ROOT

NOTEBOOK = "examples/diagnose_logs.ipynb"
EXAMPLES = {
    "pytorch_monitor.py": ("torch", "BN101", "stale"),
    "keras_monitor.py": ("keras", "BN201", "lagging"),
    "tf1_monitor.py": ("tf_keras", "BN101", None),  # its last look comes after the repair
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_warns_repairs_and_leaves_a_log_with_the_verdict(name, tmp_path):
    package, code, verdict = EXAMPLES[name]
    pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, f"examples/{name}", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"BatchNormWarning: {code}" in done.stderr
    before, after = (float(n) for n in re.findall(r"(?:before|after): +([\d.]+)%", done.stdout))
    assert after > 95 > before
    (judged,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert verdict in (None, judged.verdict)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a kernel of its own ran it."""
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install '.[dev]'")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="needs ipykernel: pip install '.[dev]'")
    notebook = nbformat.read(ROOT / NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "TMPDIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


def shown(notebook):
    """Returns what the code cells showed, as text, and the types of what they displayed."""
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    displayed = [one.data for one in outputs if one.output_type == "execute_result"]
    return "".join(one.text for one in outputs if one.output_type == "stream"), displayed


def test_the_notebook_runs_and_judges_the_training_with_the_fault(executed):
    text, _ = shown(executed)
    assert "worst verdict: stale\nBN101 never-updated" in text
    assert re.search(r"^healthy +updated/train", text, re.MULTILINE)
    assert text.endswith("exit code: 1\n")


def test_the_notebook_shows_the_report_and_a_table(executed):
    _, (page, table) = shown(executed)
    assert page["text/html"].startswith("<iframe sandbox=")
    assert page["text/plain"].startswith("<Diagnoses of 4 runs, stale;")
    assert "net/batch_normalization" in table["text/html"]


def test_the_notebook_is_kept_without_what_it_showed_on_somebodys_machine():
    cells = json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
