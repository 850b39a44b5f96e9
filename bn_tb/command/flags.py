"""The flags of `bn_tb.analyze`, in the groups in which `--help` shows them."""

import dataclasses
import textwrap
from typing import Any

from absl import flags

from bn_tb.errors import UsageError
from bn_tb.reports import RENDERERS

USAGE = """\
usage: bn_tb.analyze LOGDIR [LOGDIR ...] [flags]

Says which batch-norm layers of TensorBoard logs have stale, lagging or broken moving statistics,
proves it, and says what to change. A LOGDIR is a folder, searched recursively, or an event
file; both may be URLs (s3://, gs://, ...). Flags take dashes for underscores: --fail-on.
"""

EXIT_STATUSES = """
Exit status: 0 judged, nothing at or above --fail_on; 1 findings at or above it; 2 usage error or
nothing readable; 3 nothing could be judged (no batch-norm statistics and no graph evidence);
70 a bug in bn_tb.
"""

HELP_WIDTH = 98
HELP_INDENT = 28


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
      name: Without dashes.
      help: What it does; no type, no default of False. Of a flag that is on by default, what
        `--noNAME` does.
      value: How help shows its value; empty for a flag that is on or off. `A|B` allows these.
      default: Its value where it is not given; of the type of its values, but None for text and
        numbers without default.
      number: Whether values are numbers.
      repeats: Whether it may be given several times; else a default of `[]` splits at commas.
      short: A letter that means the same after one dash.
    """

    name: str
    help: str
    value: str = ""
    default: Any = None
    number: bool = False
    repeats: bool = False
    short: str = ""


OTHER_NAMES = {"output_format": "format"}
"""What linters call a flag of ours."""

GROUPS = {
    "Report": (
        Flag("format", "Format of the report.", "|".join(RENDERERS), "text"),
        Flag("output", "File to write instead of standard output.", "FILE"),
        Flag("verbose", "Every run, layer and suppressed finding in full.", short="v"),
        Flag("quiet", "No progress and no notes, only what went wrong.", short="q"),
        Flag("statistics", "Count the findings of each code instead of telling them."),
    ),
    "Gate": (
        Flag(
            "fail_on",
            "Exit with 1 from findings of this severity on.",
            "error|warning|info|never",
            "error",
        ),
        Flag("select", "Only these codes or prefixes, such as BN1,BN201.", "CODES", []),
        Flag("ignore", "Not these codes or prefixes.", "CODES", []),
        Flag(
            "frozen",
            "Layers frozen on purpose, such as 'backbone/*'. Repeatable.",
            "PATTERN",
            [],
            repeats=True,
        ),
        Flag("baseline", "Known findings; only others fail.", "FILE", ""),
        Flag("update_baseline", "Write today's findings to the baseline."),
        Flag(
            "config",
            "Configuration file. Default: the nearest bn_tb.toml, or pyproject.toml with "
            "[tool.bn_tb], in this folder or above it.",
            "FILE",
        ),
    ),
    "What logs do not say": (
        Flag(
            "momentum",
            "Weight of the old value per update (PyTorch: 1 - momentum).",
            "NUMBER",
            number=True,
        ),
        Flag(
            "updates_per_step",
            "Updates of the statistics per logged step; where steps are epochs, the steps of an "
            "epoch.",
            "NUMBER",
            number=True,
        ),
        Flag(
            "mean_tag",
            "Tags of moving means that bn_tb does not know; group 1, if any, is the layer. "
            "Repeatable.",
            "REGEX",
            [],
            repeats=True,
        ),
        Flag("variance_tag", "The same for moving variances.", "REGEX", [], repeats=True),
        Flag("checkpoints", "Leave checkpoints out: read event files alone.", default=True),
    ),
    "Many runs": (
        Flag(
            "scheduler",
            "Judge on Dask's workers: local, local:N, tcp://HOST:PORT or a scheduler FILE.json. "
            "Reports then have no charts.",
            "WHERE",
        ),
        Flag(
            "columns", "Hyperparameters to show beside each run, such as lr,momentum.", "NAMES", []
        ),
        Flag(
            "group_by",
            "Count verdicts by the values of a hyperparameter.",
            "NAME",
        ),
        Flag(
            "cache",
            "Keep verdicts here; files that did not change are not read again. Reports then have "
            "no charts.",
            "DIR",
        ),
        Flag(
            "storage_options",
            "Options for fsspec of remote LOGDIRs, as JSON or in a file; credentials are better "
            "off in the environment.",
            "JSON",
        ),
    ),
    "Understand": (
        Flag("list_rules", "List every code."),
        Flag("explain", "Print the manual page of a code.", "CODE"),
        Flag("show_tags", "Show how each tag was understood, and why."),
        Flag("diff", "Compare two logdirs, OLD NEW: findings cured, caused, unchanged."),
    ),
    "Live": (
        Flag("watch", "Follow logs that are being written, until Ctrl-C."),
        Flag(
            "on_finding",
            "With --watch: run this on each new error, the finding as JSON on its standard input.",
            "COMMAND",
        ),
    ),
    "Other": (
        Flag("help", "Print this.", short="h"),
        Flag("version", "Print the version.", short="V"),
        Flag("completion", "Print a completion script for a shell.", "bash|zsh|fish"),
    ),
}


_NAMES = {flag.name for group in GROUPS.values() for flag in group} | {*OTHER_NAMES}


def parse(argv: list[str]) -> tuple[flags.FlagValues, list[str]]:
    """Returns parsed flags, and the arguments that are no flags.

    Raises:
      UsageError: A flag is unknown or its value cannot be used.
    """
    # Values of our own: absl's global ones hold the flags of absl.logging and of the caller.
    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags may follow the logdirs
    for group in GROUPS.values():
        for flag in group:
            _define(flag, values)
    try:
        return values, values(["bn_tb.analyze", *_as_defined(argv)])[1:]
    except (flags.Error, ValueError) as error:  # absl lets faults of a --flagfile through
        raise UsageError(f"{' '.join(str(error).split())}; see bn_tb.analyze --help") from None


def _as_defined(argv: list[str]) -> list[str]:
    """Returns arguments with the names of flags as they are defined: dashes are underscores."""
    flags_end = argv.index("--") if "--" in argv else len(argv)
    return [_renamed(argument) for argument in argv[:flags_end]] + argv[flags_end:]


def _renamed(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    head, equals, value = argument[2:].partition("=")
    name = head.replace("-", "_")
    if name.startswith("no_") and name[3:] in _NAMES:
        name = f"no{name[3:]}"
    elif name not in _NAMES and name.removeprefix("no") not in _NAMES:
        return argument
    return f"--{OTHER_NAMES.get(name, name)}{equals}{value}"


def refuse_contradictions(values: Any, logdirs: list[str]) -> None:
    """Checks what goes together.

    Raises:
      UsageError: Two flags, or flags and logdirs, do not.
    """
    if not logdirs:
        raise UsageError("no LOGDIR given; see bn_tb.analyze --help")
    if (values.columns or values.group_by) and values.format not in ("text", "csv"):
        raise UsageError("--columns and --group_by go with --format=text or csv")
    if values.statistics and (values.format != "text" or values.watch or values.diff):
        raise UsageError("--statistics goes with --format=text and a report alone")
    if values.on_finding and not values.watch:
        raise UsageError("--on_finding needs --watch")
    if (values.scheduler or values.cache) and (values.watch or values.show_tags):
        raise UsageError("--scheduler and --cache go with a report or --diff alone")
    if values.update_baseline and (values.watch or values.diff or values.show_tags):
        raise UsageError("--update_baseline goes with a report alone")


def help_text() -> str:
    """Returns what `--help` prints."""
    parts = [USAGE]
    for title, group in GROUPS.items():
        parts.append(f"{title}:")
        parts += [line for flag in group for line in _help(flag)]
    return "\n".join(parts) + "\n" + EXIT_STATUSES


def _define(flag: Flag, values: flags.FlagValues) -> None:
    arguments = (flag.name, flag.default, flag.help)
    if not flag.value:
        on, short = flag.default is True, flag.short or None
        flags.DEFINE_boolean(flag.name, on, flag.help, flag_values=values, short_name=short)
    elif "|" in flag.value:
        choices = flag.value.split("|")
        flags.DEFINE_enum(flag.name, flag.default, choices, flag.help, flag_values=values)
    elif flag.number:
        flags.DEFINE_float(*arguments, flag_values=values)
    elif flag.repeats:
        flags.DEFINE_multi_string(*arguments, flag_values=values)
    elif flag.default == []:
        flags.DEFINE_list(*arguments, flag_values=values)
    else:
        flags.DEFINE_string(*arguments, flag_values=values)


def _help(flag: Flag) -> list[str]:
    on = flag.default is True
    short = f"-{flag.short}, " if flag.short else ""
    head = f"  {short}--{'no' if on else ''}{flag.name}" + (f"={flag.value}" if flag.value else "")
    text = flag.help + (f" Default: {flag.default}." if flag.default and not on else "")
    lines = textwrap.wrap(text, HELP_WIDTH - HELP_INDENT)
    if len(head) < HELP_INDENT:
        lines[0] = f"{head:<{HELP_INDENT}}{lines[0]}"
        return lines[:1] + [" " * HELP_INDENT + line for line in lines[1:]]
    return [head, *(" " * HELP_INDENT + line for line in lines)]
