"""`bn_tb.train`: the experiment that shows the fault. Parse, train, print."""

import contextlib
import importlib.util
import itertools
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bn_tb import terminal
from bn_tb.errors import BnTbError, UsageError
from bn_tb.training import data, progress
from bn_tb.training.flags import help_text, parse
from bn_tb.training.flags import options as chosen
from bn_tb.training.options import Options

if TYPE_CHECKING:  # importing tensorflow takes seconds; --help and errors do not wait for it
    from bn_tb.training.loop import Epoch, Metrics, Repair

UNUSABLE = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
NEEDED = ("tensorflow", "tf_keras", "filelock")
"""Modules of the extra `train`, named like their packages."""


def console_main() -> None:
    """Runs the command line and exits; errors that a person can act on are one line."""
    try:
        status = main(sys.argv[1:])
    except BnTbError as error:
        terminal.note(str(error))
        status = UNUSABLE
    except KeyboardInterrupt:
        terminal.note("interrupted; the event files hold every step so far")
        status = INTERRUPTED
    except OSError as error:  # a full disk, a folder that somebody deleted
        terminal.note(f"{error.filename or 'cannot go on'}: {error.strerror or error}")
        status = UNUSABLE
    sys.exit(status)


def main(argv: list[str]) -> int:
    """Runs the command line and returns its exit status."""
    flags = parse(argv)
    if flags.help:
        terminal.write_stdout(help_text())
        return 0
    options = chosen(flags)
    mnist = _prepared(pathlib.Path(flags.data_dir) if flags.data_dir else data.EMBEDDED)
    from bn_tb.training.run_folders import claim_run_folders

    steps = options.epochs * options.steps_per_epoch
    with (
        claim_run_folders(options.logdir, options.scope, flags.overwrite) as folders,
        progress.told(steps) as stepped,
    ):
        from bn_tb.training import experiment  # everything that takes no tensorflow was checked

        with contextlib.closing(experiment.run(options, folders, mnist)) as results:
            _print_epochs(results, options, stepped)
    terminal.write_stdout(
        f"\nDiagnose the logs:      python -m bn_tb.analyze {options.logdir}\n"
        f"Look into TensorBoard:  tensorboard --logdir {options.logdir}\n"
    )
    return 0


def _prepared(data_dir: pathlib.Path) -> data.Mnist:
    """Checks what can be checked before tensorflow is imported; returns the images."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the training needs {missing[0]}: pip install {' '.join(missing)}")
    return data.read_mnist(data_dir)


def _print_epochs(
    results: "Iterator[Epoch | Repair | None]", options: Options, stepped: Callable[[], None]
) -> None:
    """Prints one line an epoch, and what a repair gave."""
    from bn_tb.training.loop import Repair  # tensorflow is there by now

    numbers = itertools.count(1)
    for result in results:
        if result is None:
            stepped()
        elif isinstance(result, Repair):
            terminal.write_stdout(_repaired(result))
        else:
            sides = f"{_side('train', result.train)} | {_side('test', result.test)}"
            terminal.write_stdout(f"[{next(numbers)}/{options.epochs}] {sides}\n")


def _repaired(repair: "Repair") -> str:
    return (
        f"\nThe statistics were estimated anew from {repair.batches} training batches. "
        f"Same weights, on the test set:\n"
        f"before  acc: {repair.before.accuracy:.2%}, loss: {repair.before.loss:.3f}\n"
        f"after   acc: {repair.after.accuracy:.2%}, loss: {repair.after.loss:.3f}\n"
    )


def _side(name: str, metrics: "Metrics") -> str:
    return f"({name}) acc: {metrics.accuracy:.2%}, loss: {metrics.loss:.3f}"


if __name__ == "__main__":
    console_main()
