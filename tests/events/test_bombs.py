"""What small files may cost: time and memory are bounded by the bytes that exist."""

import json
import os
import subprocess
import sys

import pytest

from tests.builders.bombs import BOMBS
from tests.places import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

MEGABYTES = 3
MOST = 40
"""Times the processor time of an honest file of that size; 2 to 10 on a quiet machine, and what is
not linear takes hundreds."""


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """Seconds and faults of all bombs, read by one process with little memory."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.builders.bombs"),
            *(str(tmp_path_factory.mktemp("bombs")), str(MEGABYTES)),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [*BOMBS, "a sparse file that claims 3 GB"])
def test_a_bomb_costs_a_few_times_what_an_honest_file_does(costs, name):
    seconds, fault = costs[name]
    assert not fault  # MemoryError
    assert seconds < MOST * costs["honest"][0]
