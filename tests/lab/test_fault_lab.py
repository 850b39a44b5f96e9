"""Every scenario of the laboratory of faults, really trained, is diagnosed as it should be."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

from tests.lab import BENCHES
from tests.lab.outcome import judge
from tests.lab.scenario import Scenario
from tests.places import ROOT, unmeasured


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Returns the logs of a bench, which are made in a process of its own at the first call."""
    folders: dict[str, pathlib.Path] = {}

    def logs_of(bench: str) -> pathlib.Path:
        if bench not in folders:
            folders[bench] = tmp_path_factory.mktemp(bench)
            command = [sys.executable, "-m", "tests.lab", bench, str(folders[bench])]
            ended = subprocess.run(
                command, cwd=ROOT, env=unmeasured(), capture_output=True, text=True
            )
            assert ended.returncode == 0, ended.stderr[-3000:]
        return folders[bench]

    return logs_of


def _parameters():
    """Yields a parameter per scenario."""
    for bench, content in BENCHES.items():
        installed = importlib.util.find_spec(content.needs) is not None
        skip = pytest.mark.skipif(not installed, reason=f"{content.needs} is not installed")
        for scenario in content.scenarios:
            yield pytest.param(bench, scenario, marks=skip, id=scenario.name)


@pytest.mark.parametrize(("bench", "scenario"), list(_parameters()))
def test_scenario_is_diagnosed(bench: str, scenario: Scenario, trained):
    outcome = judge(scenario, str(trained(bench) / scenario.name))
    assert not outcome.complaints, f"{scenario.truth} {'; '.join(outcome.complaints)}"


SCENARIOS = [scenario for bench in BENCHES.values() for scenario in bench.scenarios]


def test_names_are_unique():
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_at_least_half_of_the_laboratory_is_healthy():
    healthy = [scenario for scenario in SCENARIOS if not scenario.faulty]
    assert 2 * len(healthy) >= len(SCENARIOS) >= 60
