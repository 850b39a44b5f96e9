"""Trains the laboratory of faults, judges its logs and prints what was found and missed.

    python scripts/fault_lab.py [--framework=tf1,pytorch] [--only=torch_ranks] [--keep=DIR]

Every scenario of tests/lab is really trained in its framework and judged as anybody's logs are.
The exit status is 1 if a planted fault was missed, a verdict is wrong, or something true of
nobody was warned of.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from absl import app, flags
from rich.console import Console
from rich.table import Table

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # tests/ is not installed

from bn_tb.rules import ALL_RULES  # noqa: E402
from tests.lab import BENCHES  # noqa: E402
from tests.lab.outcome import Outcome, judge  # noqa: E402

FRAMEWORK = flags.DEFINE_list("framework", [*BENCHES], "Benches to train.")
ONLY = flags.DEFINE_string("only", "", "Train scenarios whose name contains this.")
KEEP = flags.DEFINE_string("keep", None, "Keep the logs in this folder.")
LOGDIR = flags.DEFINE_string("logdir", None, "Judge the logs kept here, without training.")


def train(bench: str, logdir: str, names: Sequence[str]) -> None:
    """Trains scenarios of one bench in a process of its own; its messages go to stderr."""
    command = [sys.executable, "-m", "tests.lab", bench, logdir, *names]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)


def confusion(outcomes: Sequence[Outcome]) -> Table:
    """Returns the table per code: scenarios planted, found, missed, false alarms."""
    table = Table("code", "name", "planted", "found", "missed", "false alarms")
    names = {rule.code: rule.name for rule in ALL_RULES}
    expected = {code for o in outcomes for code in (*o.scenario.must, *o.scenario.causes)}
    for code in sorted({*names, *expected}):
        planted = [o for o in outcomes if code in (*o.scenario.must, *o.scenario.causes)]
        missed = sum(code in outcome.missed for outcome in planted)
        alarms = sum(code in outcome.false_alarms for outcome in outcomes)
        counts = (len(planted), len(planted) - missed, missed, alarms)
        table.add_row(code, names.get(code, ""), *map(str, counts))
    return table


def main(argv: Sequence[str]) -> int:
    """Trains, judges and prints."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        logdir = LOGDIR.value or KEEP.value or scratch
        for bench in FRAMEWORK.value:
            chosen = [s for s in BENCHES[bench].scenarios if ONLY.value in s.name]
            if chosen and not LOGDIR.value:
                train(bench, os.path.abspath(logdir), [s.name for s in chosen])
            outcomes += [judge(s, os.path.join(logdir, s.name)) for s in chosen]
    console = Console(soft_wrap=True)
    console.print(confusion(outcomes))
    wrong = [outcome for outcome in outcomes if outcome.complaints]
    for outcome in wrong:
        console.print(f"{outcome.scenario.name}: {'; '.join(outcome.complaints)}")
    faulty = sum(outcome.scenario.faulty for outcome in outcomes)
    console.print(f"{len(outcomes)} scenarios, {faulty} faulty, {len(wrong)} judged wrongly")
    return bool(wrong)


if __name__ == "__main__":
    app.run(main)
