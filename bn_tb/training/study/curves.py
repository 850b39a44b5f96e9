"""Curves out of the tables of a study."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Table = Sequence[dict[str, str]]


def select(rows: Table, **values: object) -> list[dict[str, str]]:
    """Returns the rows that have all the given values, compared as text."""
    return [row for row in rows if all(row[key] == str(value) for key, value in values.items())]


def by(rows: Table, column: str) -> dict[str, list[dict[str, str]]]:
    """Returns the rows for each value of a column, in the order in which these first occur."""
    values = dict.fromkeys(row[column] for row in rows)
    return {value: select(rows, **{column: value}) for value in values}


def curve(
    rows: Table, column: str, against: str = "step"
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns a column against another one, for each seed.

    Args:
      rows: Of one model; the same values of `against` in each seed.
      column: What is wanted.
      against: What it depends on.

    Returns:
      The values of `against`, `[T]`; those of `column`, a row a seed, `[S, T]`.
    """
    seeds = sorted({int(row["seed"]) for row in rows})
    values = [[float(row[column]) for row in select(rows, seed=seed)] for seed in seeds]
    points = [float(row[against]) for row in select(rows, seed=seeds[0])]
    return np.array(points), np.array(values)


def mean_and_range(values: npt.NDArray[np.float64], form: str) -> str:
    """Returns `93.1 (91.0 to 95.2)`; of one value, that value. `form` is a format specification."""
    mean = format(values.mean(), form)
    if len(values) == 1:
        return mean
    return f"{mean} ({format(values.min(), form)} to {format(values.max(), form)})"


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a Markdown table."""
    print("\n| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
