"""Measures what small files that would cost much take, beside an honest file of their size.

    python scripts/bench_bombs.py [--megabytes=20]

Processor time of reading, judging and reporting; the costliest first.
"""

import pathlib
import sys
import tempfile
import time

from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
# isort: split
from tests.builders import bombs

MEGABYTES = flags.DEFINE_integer("megabytes", 20, "Size of each file.", lower_bound=1)


def main(_: list[str]) -> None:
    """Prints seconds, and times those of the honest file."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path in bombs.written(pathlib.Path(folder), MEGABYTES.value << 20):
            start = time.process_time()
            bombs.read(path)
            seconds[name] = time.process_time() - start
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{name:40} {spent:8.2f} s {spent / seconds['honest']:8.1f}")


if __name__ == "__main__":
    app.run(main)
