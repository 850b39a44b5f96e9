"""Batch-norm layers of the JSON that Keras callbacks write for a model."""

import json
from collections.abc import Iterator
from typing import Any

from bn_tb.graph.graph_evidence import LayerWiring

LARGEST = 8 << 20
"""Bytes of JSON; a model of a thousand layers has one million."""
_MAX_DEPTH = 50  # models inside models; real ones are 2 or 3 deep
_POSITIONS = {3: "1D", 4: "2D", 5: "3D"}  # axes of an input, and its layers: Conv1D, MaxPool2D
_CALL_DEPTH = 6  # lists around the keyword arguments of a call: 3 in Keras 2, 2 in Keras 3


def read(data: bytes) -> dict[str, LayerWiring]:
    """Returns the layers by name; layers of inner models carry the inner model's name before.

    Raises:
      ValueError: Not JSON of a model.
    """
    if len(data) > LARGEST:
        raise ValueError(f"JSON of {len(data):,} bytes, more than {LARGEST:,}")
    try:
        model = json.loads(data)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(model, dict):
        raise ValueError("JSON is no object, expected a Keras model")
    found = {}
    formats = _data_formats(model)
    for scope, config, layer in _batch_norms(model, (), 0, True):
        name, axes = "/".join(scope), _rank(layer) or 0
        found[name] = LayerWiring(
            layer=name,
            variables={},
            updates={},
            momentum=_between_0_and_1(config.get("momentum")),
            epsilon=_between_0_and_1(config.get("epsilon")),
            keras=True,
            momentum_source="keras_config",
            trainable=config["trainable"] if isinstance(config.get("trainable"), bool) else None,
            training=False if _called_for_inference(layer.get("inbound_nodes")) else None,
            axis=tuple(-1 if one == axes - 1 else one for one in _axis(config.get("axis"))),
            data_format=formats.get(axes, ""),
        )
    return found


def _batch_norms(
    layer: dict[str, Any], scope: tuple[str, ...], depth: int, trainable: bool
) -> Iterator[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]]:
    """Yields scope, configuration and the whole entry; the outermost model's name is in no scope.

    A layer inside a model that is not trainable is not trainable either.
    """
    config = layer.get("config")
    if not isinstance(config, dict) or depth > _MAX_DEPTH:
        return
    name = config.get("name", layer.get("name"))
    if depth and isinstance(name, str):
        scope = (*scope, name)
    trainable = trainable and config.get("trainable") is not False
    if "BatchNorm" in str(layer.get("class_name")):
        if not trainable:
            config = config | {"trainable": False}
        yield scope, config, layer
    inner = config.get("layers")
    wrapped = config.get("layer")  # TimeDistributed and other wrappers
    for child in [*(inner if isinstance(inner, list) else []), wrapped]:
        if isinstance(child, dict):
            yield from _batch_norms(child, scope, depth + 1, trainable)


def _called_for_inference(calls: object, depth: int = 0) -> bool:
    """Returns whether the calls of a layer in a functional model pass `training=False`.

    Keras 2 writes a call as a list of `[layer, node, tensor, {keyword arguments}]`, Keras 3 as
    `{"args": ..., "kwargs": {...}}`.
    """
    if depth > _CALL_DEPTH:
        return False
    if isinstance(calls, dict):
        return calls.get("training") is False or _called_for_inference(
            calls.get("kwargs"), depth + 1
        )
    return isinstance(calls, list) and any(_called_for_inference(one, depth + 1) for one in calls)


def _data_formats(model: dict[str, Any]) -> dict[int, str]:
    """Returns what all layers of inputs with so many axes say of their data, where they agree."""
    formats: dict[int, set[str]] = {axes: set() for axes in _POSITIONS}
    waiting: list[tuple[object, int]] = [(model, 0)]
    while waiting:
        layer, depth = waiting.pop()
        if not isinstance(layer, dict) or depth > _MAX_DEPTH:
            continue
        config = layer.get("config")
        if not isinstance(config, dict):
            continue
        if "data_format" in config:
            kind = str(layer.get("class_name"))
            for axes, positions in _POSITIONS.items():
                if positions in kind:
                    formats[axes].add(str(config["data_format"]))
        inner = config.get("layers")
        waiting += [(one, depth + 1) for one in (inner if isinstance(inner, list) else [])]
        waiting.append((config.get("layer"), depth + 1))
    return {axes: found.pop() for axes, found in formats.items() if len(found) == 1}


def _rank(layer: dict[str, Any]) -> int | None:
    """Returns the number of axes of a layer's input, from its build configuration, or None."""
    build = layer.get("build_config")
    shape = build.get("input_shape") if isinstance(build, dict) else None
    return len(shape) if isinstance(shape, list) else None


def _axis(value: object) -> tuple[int, ...]:
    """Returns the normalised axes as configured; an empty tuple if the configuration says none."""
    axes = value if isinstance(value, list) else [value]
    if all(isinstance(axis, int) and not isinstance(axis, bool) for axis in axes):
        return tuple(axes)
    return ()


def _between_0_and_1(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    return None
