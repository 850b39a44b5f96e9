"""Names of the variables that Keras saves by number: `vars/0`, `vars/1`, ...

Groups are named by class and position (`layers/batch_normalization_1`), the configuration by the
names people gave (`first_bn`). Newer files hold that name beside the variables; for older ones the
order of the configuration tells: groups of one class are numbered in its order.
https://github.com/keras-team/keras/blob/v3.11.0/keras/src/saving/saving_lib.py
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bn_tb.checkpoints.contents import Stored

_BATCH_NORM = re.compile(r"batch_?norm|(?:^|_)bn(?:$|_?\d)", re.IGNORECASE)
_DIGITS = 6  # of a number in a name
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")


@dataclasses.dataclass
class Layer:
    """A layer, or a model of layers, as groups of a file show it.

    Attributes:
      label: Its own name as saved beside its variables, or an empty string.
      variables: Its variables by number.
      layers: Layers inside by the names of their groups.
    """

    label: str = ""
    variables: dict[int, Stored] = dataclasses.field(default_factory=dict)
    layers: dict[str, "Layer"] = dataclasses.field(default_factory=dict)


Path = tuple[str, ...]
"""Names of groups from the outermost on, and of the dataset."""


def tree(variables: Mapping[Path, Stored], labels: Mapping[Path, bytes]) -> Layer:
    """Returns the model that groups show.

    Args:
      variables: Numbered variables of layers, `(group, ..., "vars", number)`; others are left out.
      labels: Names of layers by their groups.
    """
    root = Layer()
    for path, label in labels.items():
        _at(root, path).label = label.decode("utf-8", "replace")
    for (*groups, last), stored in variables.items():
        if last.isdecimal() and len(last) < _DIGITS and groups and groups[-1] == "vars":
            _at(root, groups[:-1]).variables[int(last)] = stored
    return root


def _at(layer: Layer, groups: Sequence[str]) -> Layer:
    for group in groups:
        layer = layer.layers.setdefault(group, Layer())
    return layer


Config = Mapping[str, Any]


def named(root: Layer, config: bytes) -> dict[str, Stored]:
    """Returns the variables of all layers by name, those of batch norm by their roles.

    Args:
      root: The model.
      config: Its configuration as JSON; empty if there is none.
    """
    try:
        model = json.loads(config) if config else {}
    except (ValueError, RecursionError):
        model = {}
    return dict(_of(root, model if isinstance(model, dict) else {}, "", ""))


def _of(layer: Layer, config: Config, scope: str, group: str) -> Iterator[tuple[str, Stored]]:
    for name, stored in _variables(layer, config, group):
        yield f"{scope}/{name}" if scope else name, stored
    inner = layer.layers.get("layers")
    children = dict(layer.layers) if inner is None else {**layer.layers, **inner.layers}
    children.pop("layers", None)
    for key, child in children.items():
        own = _configured(child, key, children, _inside(config))
        name = child.label or str(_config(own).get("name") or key)
        yield from _of(child, own, f"{scope}/{name}" if scope else name, key)


def _configured(
    child: Layer, key: str, children: Mapping[str, Layer], entries: Sequence[Config]
) -> Config:
    """Returns the configuration of the layer in group `key`, or an empty one."""
    if child.label:
        same = [one for one in entries if _config(one).get("name") == child.label]
        return same[0] if same else {}
    base, _, number = key.rpartition("_")
    if not number.isdecimal() or base not in children:
        base, number = key, "0"
    alike = [one for one in entries if _snake(str(one.get("class_name"))) == base]
    return alike[int(number[:_DIGITS])] if int(number[:_DIGITS]) < len(alike) else {}


def _variables(layer: Layer, config: Config, group: str) -> Iterator[tuple[str, Stored]]:
    ordered = [layer.variables[number] for number in sorted(layer.variables)]
    if config:
        batch_norm = "BatchNorm" in str(config.get("class_name"))
    else:
        batch_norm = _looks_like_batch_norm(ordered, (group, layer.label))
    roles = _roles(len(ordered), _config(config)) if batch_norm else ("kernel", "bias")
    yield from zip(roles, ordered, strict=False)


def _looks_like_batch_norm(variables: Sequence[Stored], names: Sequence[str]) -> bool:
    """Returns whether a layer without configuration has as many equal vectors as batch norm."""
    shapes = {stored.shape for stored in variables}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        return False
    return len(variables) == 4 or (len(variables) in (2, 3) and any(map(_BATCH_NORM.search, names)))


def _roles(count: int, config: Config) -> tuple[str, ...]:
    """Returns the roles of variables in their order; one of unknown role is just a weight."""
    statistics = ("moving_mean", "moving_variance")
    if config:
        scale = ("gamma",) if config.get("scale", True) else ()
        center = ("beta",) if config.get("center", True) else ()
        return (*scale, *center, *statistics)
    return {2: statistics, 3: ("weight", *statistics)}.get(count, ("gamma", "beta", *statistics))


def _config(entry: Config) -> Config:
    config = entry.get("config")
    return config if isinstance(config, dict) else {}


def _inside(entry: Config) -> list[Config]:
    """Returns the configurations of the layers inside a model or a wrapper."""
    layers, wrapped = _config(entry).get("layers"), _config(entry).get("layer")
    return [one for one in [*(layers or []), wrapped] if isinstance(one, dict)]


def _snake(name: str) -> str:
    return _WORDS.sub("_", name).lower()
