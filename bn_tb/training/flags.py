"""The flags of `bn_tb.train`, and the page that `--help` shows."""

import math
import pathlib
import textwrap
from typing import Any

from absl import flags

from bn_tb.errors import UsageError
from bn_tb.training.options import ACTIVATIONS, NAME, WIRINGS, Options

USAGE = """\
usage: bn_tb.train [--nocontrol_deps] [flags]

Trains a small convolutional net with batch normalisation on MNIST and writes what TensorBoard
shows: the graph, loss and accuracy, and the moving statistics after every step. With
--nocontrol_deps nothing updates these statistics: training looks perfect, and evaluation normalises
with mean 0 and variance 1.

"""

HELP_WIDTH = 98
HELP_INDENT = 28

DEFAULT = Options(pathlib.Path("logs"))


def parse(argv: list[str]) -> Any:
    """Returns the flags' values, as attributes.

    Raises:
      UsageError: A flag is unknown, its value cannot be used, or two contradict each other.
    """
    values = _definitions()
    try:
        rest = values(["bn_tb.train", *argv])[1:]
    except flags.Error as error:
        raise UsageError(f"{' '.join(str(error).split())}; see bn_tb.train --help") from None
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}: all settings are flags, see --help")
    return values


def options(values: Any) -> Options:
    """Returns the experiment that the flags describe.

    Raises:
      UsageError: `--wiring` and `--control_deps` contradict each other.
    """
    return Options(
        logdir=pathlib.Path(values.logdir),
        name=values.name,
        wiring=_wiring(values),
        momentum=values.momentum if values.batch_norm else None,
        activation=values.activation,
        epochs=values.epochs,
        steps_per_epoch=values.steps_per_epoch,
        batch_size=values.batch_size,
        learning_rate=values.learning_rate,
        histogram_every=values.histogram_every,
        save_every=values.save_every,
        seed=values.seed,
        recalibrate=_recalibrate(values),
    )


def help_text() -> str:
    """Returns what `--help` prints."""
    values = _definitions()
    shown = [values[name] for name in values if name not in ("flagfile", "undefok", "h")]
    return USAGE + "\n".join(line for flag in shown for line in _help(flag)) + "\n"


def _wiring(values: Any) -> str:
    implied = "control_deps" if values.control_deps else "none"
    if values["control_deps"].present and values.wiring not in (None, implied):
        switch = "--control_deps" if values.control_deps else "--nocontrol_deps"
        raise UsageError(
            f"--wiring={values.wiring} contradicts {switch}, which is short for "
            f"--wiring={implied}: give one of them"
        )
    return str(values.wiring or implied)


def _recalibrate(values: Any) -> bool:
    if values.recalibrate and not values.batch_norm:
        raise UsageError("--recalibrate contradicts --nobatch_norm: there are no statistics")
    return bool(values.recalibrate)


def _definitions() -> flags.FlagValues:
    # Values of our own: absl's global ones hold the flags of tensorflow and of absl.logging.
    values = flags.FlagValues()
    _define_experiment(values)
    _define_measurement(values)
    flags.DEFINE_boolean("help", False, "Print this.", short_name="h", flag_values=values)
    return values


def _define_experiment(values: flags.FlagValues) -> None:
    flags.DEFINE_boolean(
        "control_deps",
        True,
        "Build the train op under control dependencies on the updates of the moving statistics. "
        "--nocontrol_deps leaves them unconnected: short for --wiring=none.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "wiring",
        None,
        WIRINGS,
        "Other ways to connect the updates: in a group with the train op, under the loss, under "
        "the optimizer's constructor, fetched beside the train op; or connected well, in training "
        "steps that feed False for the placeholder 'training'. The loss, the constructor and "
        "inference do not work: see for yourself.",
        flag_values=values,
    )
    flags.DEFINE_boolean("batch_norm", True, "Use batch normalisation.", flag_values=values)
    flags.DEFINE_float(
        "momentum",
        DEFAULT.momentum,
        "Weight of the old value in each update of the moving statistics, at least 0, below 1.",
        flag_values=values,
    )
    flags.register_validator(
        "momentum", lambda value: 0 <= value < 1, "must be at least 0 and below 1", values
    )
    flags.DEFINE_enum(
        "activation",
        DEFAULT.activation,
        ACTIVATIONS,
        "Activation after each batch normalisation.",
        flag_values=values,
    )
    _define_count("epochs", "Epochs; each ends with the whole test set.", 1, values)
    _define_count("steps_per_epoch", "Training steps of an epoch.", 1, values)
    _define_count("batch_size", "Images of a training step.", 1, values)
    flags.DEFINE_float("learning_rate", DEFAULT.learning_rate, "Of Adam.", flag_values=values)
    flags.register_validator(
        "learning_rate", lambda value: 0 < value < math.inf, "must be above 0", values
    )
    _define_count("seed", "Of the weights and of the order of the images.", 0, values)


def _define_measurement(values: flags.FlagValues) -> None:
    flags.DEFINE_boolean(
        "recalibrate",
        False,
        "After the training, estimate the moving statistics anew from training batches, and tell "
        "the test accuracy of the same weights before and after.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder with the four IDX files of MNIST, gzipped or not. Without it: the 10,000 training "
        "and 10,000 test images inside the package.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "logdir", str(DEFAULT.logdir), "Folder for TensorBoard.", flag_values=values
    )
    flags.DEFINE_string(
        "name",
        DEFAULT.name,
        "Name of the model, and of its runs NAME/train and NAME/test. Without it: BN, NoCD without "
        "control dependencies, vanilla without batch normalisation, and what else differs.",
        flag_values=values,
    )
    flags.register_validator(
        "name",
        lambda value: not value or NAME.fullmatch(value),
        "must be letters, digits, '_', '.' and '-', the first a letter or digit",
        values,
    )
    flags.DEFINE_boolean(
        "overwrite",
        False,
        "Delete the event files and checkpoints of an earlier run of this name.",
        flag_values=values,
    )
    _define_count("histogram_every", "Steps between histograms of the statistics.", 1, values)
    flags.DEFINE_integer(
        "save_every",
        None,
        "Steps between checkpoints, which are beside the event files. Without it: one at the end "
        "of each epoch.",
        lower_bound=1,
        flag_values=values,
    )


def _define_count(name: str, help: str, at_least: int, values: flags.FlagValues) -> None:
    default = getattr(DEFAULT, name)
    flags.DEFINE_integer(name, default, help, lower_bound=at_least, flag_values=values)


def _help(flag: Any) -> list[str]:
    choices = getattr(flag.parser, "enum_values", None)
    if flag.boolean:
        head = f"  --{flag.name}" if not flag.default else f"  --[no]{flag.name}"
    else:
        head = f"  --{flag.name}=" + ("|".join(choices) if choices else _KINDS[flag.flag_type()])
    default = "" if flag.boolean or flag.default in (None, "") else f" Default: {flag.default}."
    text = flag.help.split(">: ")[-1] + default  # absl puts <choices>: in front
    lines = textwrap.wrap(text, HELP_WIDTH - HELP_INDENT)
    lines = [" " * HELP_INDENT + line for line in lines]
    if len(head) < HELP_INDENT:
        lines[0] = head + lines[0][len(head) :]
        return lines
    return [head, *lines]


_KINDS = {"int": "NUMBER", "float": "NUMBER", "string": "TEXT"}
