"""Where tests find the project and the samples beside it."""

import os
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
"""Other people's logs and the full MNIST; tests that need it skip where it is absent."""


def unmeasured() -> dict[str, str]:
    """Returns the environment for processes whose coverage says nothing: those that only train."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
