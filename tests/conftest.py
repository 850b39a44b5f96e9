"""Options and fixtures that several test files share."""

import pathlib
import sys

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


@pytest.fixture(scope="module", autouse=True)
def nothing_deterministic_is_left():
    """`bn_tb.training` makes TensorFlow refuse graphs without a seed, for the whole process."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()
