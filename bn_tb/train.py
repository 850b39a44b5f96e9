"""Command line of the experiment: `python -m bn_tb.train [--nocontrol_deps] [flags]`."""

import contextlib
import math
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import rich.console
import rich.progress
from absl import flags

from bn_tb.errors import BnTbError, UsageError
from bn_tb.training import data, options, run_folders

if TYPE_CHECKING:
    from bn_tb.training.loop import Epoch

USAGE = """\
Usage: python -m bn_tb.train [--nocontrol_deps] [flags]

Trains a small convolutional net with batch normalisation on MNIST and writes what TensorBoard
shows: the graph, loss and accuracy, and the moving statistics after every step. With
--nocontrol_deps nothing updates these statistics: training looks perfect, evaluation is at chance.

Flags:
"""

FLAGS = flags.FlagValues()  # ours alone: --help shows none of absl's and tensorflow's


def define_flags(values: flags.FlagValues) -> None:
    """Adds the flags of the command to `values`."""
    default = options.Options(pathlib.Path("logs"))
    flags.DEFINE_boolean("help", False, "Show this page.", short_name="h", flag_values=values)
    flags.DEFINE_string(
        "logdir", str(default.logdir), "Folder for TensorBoard.", flag_values=values
    )
    flags.DEFINE_string(
        "name", "", "Name of model and runs; empty: made from the flags.", flag_values=values
    )
    flags.DEFINE_boolean(
        "overwrite", False, "Delete the event files of an earlier run.", flag_values=values
    )
    flags.DEFINE_boolean(
        "control_deps",
        True,
        "Let the train op wait for the updates of the moving averages; no: --wiring=none.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "wiring", None, options.WIRINGS, "Who else runs the updates.", flag_values=values
    )
    flags.DEFINE_boolean("batch_norm", True, "Use batch normalisation.", flag_values=values)
    flags.DEFINE_float(
        "momentum",
        default.momentum,
        "Weight of the old value in the moving averages.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "activation", default.activation, options.ACTIVATIONS, "Activation.", flag_values=values
    )
    flags.DEFINE_integer("epochs", default.epochs, "Epochs.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "steps_per_epoch", default.steps_per_epoch, "Steps.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "batch_size", default.batch_size, "Images.", lower_bound=2, flag_values=values
    )
    flags.DEFINE_float("learning_rate", default.learning_rate, "Of Adam.", flag_values=values)
    flags.DEFINE_integer(
        "histogram_every", 1, "Steps between histograms.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Seed.", lower_bound=0, flag_values=values)
    flags.DEFINE_string("data_dir", None, "Folder with MNIST's IDX files.", flag_values=values)
    flags.register_validator(
        "momentum", lambda m: 0 <= m < 1, "must be in [0, 1)", flag_values=values
    )
    flags.register_validator(
        "learning_rate", lambda r: 0 < r < math.inf, "must be above 0", flag_values=values
    )


define_flags(FLAGS)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit status."""
    try:
        rest = FLAGS(argv)[1:]
        if FLAGS.help:
            print(USAGE + FLAGS.get_help())
            return 0
        if rest:
            raise UsageError(f"unexpected argument {rest[0]!r}; all settings are flags, see --help")
        _train(_options())
    except (BnTbError, flags.Error) as error:
        print(f"bn_tb.train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bn_tb.train: interrupted; the event files hold all steps so far", file=sys.stderr)
        return 130
    return 0


def _options() -> options.Options:
    return options.Options(
        pathlib.Path(FLAGS.logdir),
        FLAGS.name,
        _wiring(),
        FLAGS.momentum if FLAGS.batch_norm else None,
        FLAGS.activation,
        FLAGS.epochs,
        FLAGS.steps_per_epoch,
        FLAGS.batch_size,
        FLAGS.learning_rate,
        FLAGS.histogram_every,
        FLAGS.seed,
    )


def _wiring() -> str:
    implied = "control_deps" if FLAGS.control_deps else "none"
    if FLAGS["control_deps"].present and FLAGS.wiring not in (None, implied):
        switch = "" if FLAGS.control_deps else "no"
        raise UsageError(
            f"--wiring={FLAGS.wiring} contradicts --{switch}control_deps: give one of them"
        )
    return FLAGS.wiring or implied


def _train(chosen: options.Options) -> None:
    mnist = data.read_mnist(pathlib.Path(FLAGS.data_dir) if FLAGS.data_dir else data.EMBEDDED)
    folders = run_folders.claim_run_folders(chosen.logdir, chosen.scope, FLAGS.overwrite)
    from bn_tb.training import experiment

    with contextlib.closing(experiment.run(chosen, folders, mnist)) as results:
        _print_epochs(results, chosen.epochs, chosen.epochs * chosen.steps_per_epoch)
    print(f"\nDiagnose:  python -m bn_tb.analyze {chosen.logdir}")
    print(f"Look:      tensorboard --logdir {chosen.logdir}")


def _print_epochs(results: "Iterator[Epoch | None]", epochs: int, steps: int) -> None:
    """Prints one line an epoch, below them a progress bar if this is a terminal."""
    console = rich.console.Console()
    number = 0
    with rich.progress.Progress(
        console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        task = progress.add_task("training", total=steps)
        for result in results:
            if result is None:
                progress.advance(task)
                continue
            number += 1
            sides = " | ".join(
                f"({side}) acc: {metrics.accuracy:.2%}, loss: {metrics.loss:.3f}"
                for side, metrics in (("train", result.train), ("test", result.test))
            )
            print(f"[{number}/{epochs}] {sides}", flush=True)


def console_main() -> None:
    """Entry point of the console script `bn_tb.train`."""
    sys.exit(main(sys.argv))


if __name__ == "__main__":
    console_main()
