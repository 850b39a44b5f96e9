"""The command line of a study: flags with a full and a quick default, progress, errors."""

import contextlib
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import rich.console
import rich.progress
from absl import app, flags

from bn_tb.errors import BnTbError, UsageError
from bn_tb.training import data

if TYPE_CHECKING:
    from bn_tb.training.loop import Epoch

FLAGS = flags.FLAGS
_QUICK = flags.DEFINE_boolean("quick", False, "A short form, under 2 minutes on 2 cores.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder with MNIST's IDX files; default: the 20,000 images of the package."
)
_IMAGES = flags.DEFINE_integer(
    "images",
    None,
    "Use only so many images for training, and for the test. Default all, quick 5000.",
    lower_bound=1,
)
_QUICK_IMAGES = 5000
_PICTURES = flags.DEFINE_string("pictures", None, "Folder for the pictures; default: the logdir.")


class Setting:
    """A flag with two defaults, the one of the full study and the one of `--quick`."""

    def __init__(self, define: Callable[..., Any], name: str, help_: str, full: Any, quick: Any):
        """Defines the flag; `define` is a function of `absl.flags` without its default."""
        self._full, self._quick = full, quick
        self._flag = define(name, None, f"{help_} Default {full}, quick {quick}.")

    @property
    def value(self) -> Any:
        """What was given, or else the default of the form that runs."""
        if self._flag.value is not None:
            return self._flag.value
        return self._quick if _QUICK.value else self._full


def count(name: str, help_: str, full: int, quick: int) -> Setting:
    """Defines a flag that is a whole number above 0."""

    def define(name: str, default: None, help_: str) -> Any:
        return flags.DEFINE_integer(name, default, help_, lower_bound=1)

    return Setting(define, name, help_, full, quick)


def counts(name: str, help_: str, full: str, quick: str) -> Setting:
    """Defines a flag that is a list of whole numbers above 0, separated by commas."""

    def define(name: str, default: None, help_: str) -> Any:
        flag = flags.DEFINE_list(name, default, help_)
        flags.register_validator(
            name,
            lambda words: words is None or (words and all(_is_count(word) for word in words)),
            "must be whole numbers above 0, separated by commas",
        )
        return flag

    return Setting(define, name, help_, full.split(","), quick.split(","))


def _is_count(word: str) -> bool:
    return word.strip().isdecimal() and int(word) > 0


def logdir_flag(default: str) -> Any:
    """Defines `--logdir`."""
    return flags.DEFINE_string("logdir", default, "Folder of event files and tables.")


def read_data() -> data.Mnist:
    """Returns the data the flags name, and says on stderr if they are not all of MNIST."""
    if _DATA_DIR.value:
        return _first_images(data.read_mnist(pathlib.Path(_DATA_DIR.value)))
    mnist = _first_images(data.read_mnist())
    print(
        f"training on the {len(mnist.train):,} embedded images; --data_dir=FOLDER reads all of "
        "MNIST",
        file=sys.stderr,
    )
    return mnist


def _first_images(mnist: data.Mnist) -> data.Mnist:
    wanted = slice(0, _IMAGES.value or (_QUICK_IMAGES if _QUICK.value else None))
    train, test = (
        data.LabelledImages(part.images[wanted], part.labels[wanted])
        for part in (mnist.train, mnist.test)
    )
    return data.Mnist(train, test)


def pictures_folder(logdir: pathlib.Path) -> pathlib.Path:
    """Returns where pictures go, and makes the folder."""
    folder = pathlib.Path(_PICTURES.value) if _PICTURES.value else logdir
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def progress(what: str, steps: int) -> Iterator[Callable[[], None]]:
    """Shows a progress bar on a terminal, and nothing elsewhere; yields what moves it a step."""
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(),
        rich.progress.TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # what is piped stays in the pipe
    ) as bar:
        task = bar.add_task(what, total=steps)
        yield lambda: bar.advance(task)


def epochs(
    what: str, results: Iterator["list[Epoch] | None"], steps: int
) -> Iterator[tuple[int, "list[Epoch]"]]:
    """Yields the number of each epoch, from 1, and what it gave; shows the steps between them."""
    number = 0
    with progress(what, steps) as advance:
        for result in results:
            if result is None:
                advance()
            else:
                number += 1
                yield number, result


def epoch_line(number: int, total: int, epoch: "Epoch") -> str:
    """Returns `[1/10] (train) acc: 67.64%, loss: 1.112 | (test) acc: 89.53%, loss: 0.364`."""
    sides = " | ".join(
        f"({side}) acc: {metrics.accuracy:.2%}, loss: {metrics.loss:.3f}"
        for side, metrics in (("train", epoch.train), ("test", epoch.test))
    )
    return f"[{number}/{total}] {sides}"


def run(study: Callable[[], None]) -> None:
    """Runs a study as a command; exits with 2 for what the user can change, and says it."""

    def main(argv: Sequence[str]) -> None:
        name = pathlib.Path(argv[0]).name
        started = time.monotonic()
        try:
            if argv[1:]:
                raise UsageError(f"unexpected argument {argv[1]!r}; all settings are flags")
            study()
        except BnTbError as error:
            print(f"{name}: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print(f"{name}: interrupted; the same command continues", file=sys.stderr)
            sys.exit(130)
        elapsed, processor = time.monotonic() - started, time.process_time()
        print(f"{elapsed:.0f} s, {processor:.0f} s of processor time", file=sys.stderr)

    app.run(main)
