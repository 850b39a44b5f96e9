"""Every scenario of the laboratory of faults, really trained, is diagnosed as it should be."""

import fcntl
import importlib.util
import pathlib
import subprocess
import sys

import pytest

from tests.lab import BENCHES
from tests.lab.outcome import judge
from tests.lab.scenario import Scenario

ROOT = pathlib.Path(__file__).parents[1]
SCENARIOS = [(bench, s) for bench in BENCHES for s in BENCHES[bench].scenarios]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder that all workers of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "fault_lab"
    folder.mkdir(exist_ok=True)
    return folder


def _trained(bench: str, shared: pathlib.Path) -> pathlib.Path:
    """Trains a bench unless this or another worker has done so."""
    done = shared / f"{bench}.done"
    with (shared / f"{bench}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            command = [sys.executable, "-m", "tests.lab", bench, str(shared)]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            done.write_text(ended.stderr if ended.returncode else "")
    assert not done.read_text(), done.read_text()[-3000:]
    return shared


@pytest.mark.parametrize(
    ("bench", "scenario"), SCENARIOS, ids=[scenario.name for _, scenario in SCENARIOS]
)
def test_scenario_is_diagnosed(bench: str, scenario: Scenario, shared: pathlib.Path) -> None:
    if importlib.util.find_spec(BENCHES[bench].needs) is None:
        pytest.skip(f"{BENCHES[bench].needs} is not installed")
    outcome = judge(scenario, str(_trained(bench, shared) / scenario.name))
    assert not outcome.complaints, f"{scenario.truth} {'; '.join(outcome.complaints)}"


def test_names_are_unique() -> None:
    names = [scenario.name for _, scenario in SCENARIOS]
    assert len(set(names)) == len(names)


def test_at_least_half_of_the_laboratory_is_healthy() -> None:
    healthy = [scenario for _, scenario in SCENARIOS if not scenario.faulty]
    assert 2 * len(healthy) >= len(SCENARIOS) >= 60
