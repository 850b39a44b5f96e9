"""What small files may cost: time and memory are bounded by the bytes that exist."""

import json
import os
import subprocess
import sys

import pytest

from tests.builders.bombs import BOMBS
from tests.places import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

KILOBYTES = 512
LINEAR = 2.2
"""Times the calls for twice the bytes; what is not linear makes four times as many."""
CALLS_PER_BYTE = 2
"""Half a call is the most there is today: an empty value of two bytes costs one."""
FIXED = 100_000
"""Calls whatever the size, a tenth of a second; a small honest file makes half of them."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Calls and faults of all bombs, of one size and of twice it, with little memory."""

    def of(kilobytes):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.builders.bombs"),
                *(str(tmp_path_factory.mktemp("bombs")), str(kilobytes)),
            ],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return of(KILOBYTES), of(2 * KILOBYTES)


@pytest.mark.parametrize("name", [*BOMBS, "a sparse file that claims 3 GB"])
def test_a_bomb_costs_no_more_than_in_proportion_to_its_bytes(calls, name):
    (once, fault), (twice, other) = (of[name] for of in calls)
    assert not fault and not other  # MemoryError
    assert twice < LINEAR * once
    assert once < FIXED + CALLS_PER_BYTE * (KILOBYTES << 10)
