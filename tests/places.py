"""Where tests find the project and the samples beside it."""

import pathlib

ROOT = pathlib.Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
"""Other people's logs and the full MNIST; tests that need it skip where it is absent."""
