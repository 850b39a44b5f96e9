"""The hyperparameters of a run from its name, Lightning's hparams.yaml, and its event files."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from bn_tb.files import place
from bn_tb.files.found import FoundFile
from bn_tb.runs.hyperparameters import Value, Values, number_of, of_name
from bn_tb.runs.run import Run

FILE = "hparams.yaml"
LARGEST = 1 << 20
"""Bytes of a file that is read; a real one has a few hundred."""
MOST = 500
"""Hyperparameters of a file that are kept."""


def with_hyperparameters(run: Run, beside: tuple[FoundFile, ...]) -> Run:
    """Returns a run with all its own hyperparameters; the event files have the last word.

    Args:
      run: As its event files tell.
      beside: Its hparams.yaml, if there is one.
    """
    values = dict(of_name(run.name))
    for file in beside:
        values.update(_of_file(file))
    if not values:
        return run
    return dataclasses.replace(run, hyperparameters={**values, **run.hyperparameters})


def _of_file(file: FoundFile) -> Values:
    """Returns what a hparams.yaml holds; one that cannot be read holds nothing."""
    import yaml

    if file.size > LARGEST:
        return {}
    try:
        (data,) = place.read_each([file])
        root = yaml.compose(data, Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    found: dict[str, Value] = {}
    for name, value in _leaves(root, "", set()) if root else ():
        found[name] = value
        if len(found) == MOST:
            break
    return found


def _leaves(node: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Value]]:
    """Yields scalars of nested mappings, as `optimizer.lr`; objects of Python stay text.

    Each mapping counts once, however many aliases lead to it.
    """
    import yaml

    if isinstance(node, yaml.MappingNode) and id(node) not in seen:
        seen.add(id(node))
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _leaves(value, f"{name}.{key.value}" if name else key.value, seen)
    elif isinstance(node, yaml.ScalarNode) and name:
        value = _scalar(node)
        if value is not None:
            yield name, value


def _scalar(node: Any) -> Value | None:
    import yaml

    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        return str(node.value)
    if isinstance(value, float):
        return number_of(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
