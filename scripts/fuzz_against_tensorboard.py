"""Compares our reader with TensorBoard's on valid event files in odd forms, until time is up.

python scripts/fuzz_against_tensorboard.py --seconds=600 --seed=1000
"""

import pathlib
import sys
import tempfile
import time

from absl import app, flags, logging

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from tests.builders import event_bytes as eb
from tests.builders.against_tensorboard import assert_equal_to_tensorboard
from tests.builders.odd_events import Odd

SECONDS = flags.DEFINE_float("seconds", 600, "How long to go on.")
SEED = flags.DEFINE_integer("seed", 1000, "Of the first file; the next ones count up.")


def main(argv: list[str]) -> None:
    """Prints how much was compared; ends with an AssertionError at the first difference."""
    logging.set_verbosity(logging.ERROR)
    end, seed, points = time.monotonic() + SECONDS.value, SEED.value, 0
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            eb.write(pathlib.Path(folder), Odd(seed).file())
            try:
                points += assert_equal_to_tensorboard(pathlib.Path(folder))
            except AssertionError:
                print(f"seed {seed}", file=sys.stderr)
                raise
        seed += 1
    print(f"{seed - SEED.value} files, {points} points: equal")


if __name__ == "__main__":
    app.run(main)
