"""Hyperparameters of runs: what their names say, and what runs have from the runs around them."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

Value = bool | int | float | str
"""Numbers are finite."""
Values = Mapping[str, Value]

_TRIAL = re.compile(r".*[_-]\d+[_-]")  # what Ray Tune puts before the first name
_TIME = re.compile(r"_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d$")  # and behind the last value
_NEXT_NAME = re.compile(r"(.+?)[_-]([A-Za-z][\w.]*)")
_NAME = re.compile(r"[A-Za-z][\w.-]*")
_SEPARATORS = re.compile(r"[/,;&\s]+")
_WORDS = {"true": True, "false": False}
_CHILD = re.compile(r"\d{9,}(\.\d+)?")  # the run that PyTorch's add_hparams writes beside a run


def of_name(run: str) -> Values:
    """Returns the hyperparameters in a run's name.

    These are `key=value`, separated by `/ , ; &`, blanks or, where a name follows, by `_` and `-`:
    `lr=0.1,momentum=0.9`, `bs=32_lr=0.1`, `train_fn_00003_3_lr=0.1_2024-01-31_12-00-00`.

    Args:
      run: Name of a run, components separated by `/`.
    """
    return {
        name: value_of(text)
        for part in _SEPARATORS.split(run)
        if "=" in part
        for name, text in _pairs(_TIME.sub("", part))
        if _NAME.fullmatch(name)
    }


def value_of(text: str) -> Value:
    """Returns the number or the truth that a text stands for, or the text."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return number_of(float(text))
    except ValueError:
        return text


def number_of(number: float) -> Value:
    """Returns a number as people write it: whole ones without a point, those of no size as text."""
    if not math.isfinite(number):
        return str(number)
    return int(number) if number.is_integer() else number


def text_of(value: Value) -> str:
    """Returns a value as people write it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def spread(own: Mapping[str, Values]) -> dict[str, Values]:
    """Returns the hyperparameters of each run of a logdir, with those it has from runs around it.

    A run has what the runs in the folders above it have (Keras writes those of `x/train` into `x`),
    and what PyTorch's `add_hparams` wrote into a run below it that is named by the time. What is
    its own goes first.

    Args:
      own: The hyperparameters in each run's name and files, by name of the run.
    """
    lent: dict[str, Values] = {}
    for run, values in own.items():
        above, _, last = run.rpartition("/")
        if values and _CHILD.fullmatch(last):
            lent[above or "."] = {**lent.get(above or ".", {}), **values}
    spread: dict[str, Values] = {}
    for run in own:
        merged: dict[str, Value] = {}
        for place in (*_above(run), run):
            merged |= {**lent.get(place, {}), **own.get(place, {})}
        spread[run] = merged
    return spread


def _above(run: str) -> Iterator[str]:
    """Yields the folders above a run, the highest first."""
    if run != ".":
        yield "."
        parts = run.split("/")
        yield from ("/".join(parts[:end]) for end in range(1, len(parts)))


def _pairs(part: str) -> Iterator[tuple[str, str]]:
    name, *rest = part.split("=")
    name = _TRIAL.sub("", name)
    for text in rest[:-1]:
        match = _NEXT_NAME.fullmatch(text)
        yield name, match[1] if match else text
        name = match[2] if match else ""
    yield name, rest[-1]


def names(all_values: Iterable[Values]) -> tuple[str, ...]:
    """Returns the names of all hyperparameters, sorted."""
    return tuple(sorted({name for values in all_values for name in values}))
