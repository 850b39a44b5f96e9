"""The examples run as they stand, warn of their fault, and are repaired."""

import os
import re
import subprocess
import sys

import pytest

import bn_tb
from tests.places import ROOT

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
