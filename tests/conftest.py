"""Options and fixtures that several test files share."""

import pathlib

import pytest

GOLDEN = pathlib.Path(__file__).parent / "reports/golden"


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/reports/golden")


@pytest.fixture
def golden(request):
    """Compares a text with the file of that name in tests/reports/golden."""

    def compare(name, text):
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare
