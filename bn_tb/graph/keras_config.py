"""Batch-norm layers of the JSON that Keras callbacks write for a model."""

import json
from collections.abc import Iterator
from typing import Any

from bn_tb.graph.graph_evidence import LayerWiring

_MAX_DEPTH = 50  # models inside models; real ones are 2 or 3 deep


def read(data: bytes) -> dict[str, LayerWiring]:
    """Returns the layers by name; layers of inner models carry the inner model's name before.

    Raises:
      ValueError: Not JSON of a model.
    """
    try:
        model = json.loads(data)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(model, dict):
        raise ValueError("JSON is no object, expected a Keras model")
    found = {}
    for scope, config in _batch_norms(model, (), 0):
        name = "/".join(scope)
        found[name] = LayerWiring(
            layer=name,
            variables={},
            updates={},
            momentum=_between_0_and_1(config.get("momentum")),
            epsilon=_between_0_and_1(config.get("epsilon")),
            keras=True,
            momentum_source="keras_config",
            trainable=config["trainable"] if isinstance(config.get("trainable"), bool) else None,
        )
    return found


def _batch_norms(
    layer: dict[str, Any], scope: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yields scope and configuration; the outermost model's name is in no scope."""
    config = layer.get("config")
    if not isinstance(config, dict) or depth > _MAX_DEPTH:
        return
    name = config.get("name", layer.get("name"))
    if depth and isinstance(name, str):
        scope = (*scope, name)
    if "BatchNorm" in str(layer.get("class_name")):
        yield scope, config
    inner = config.get("layers")
    wrapped = config.get("layer")  # TimeDistributed and other wrappers
    for child in [*(inner if isinstance(inner, list) else []), wrapped]:
        if isinstance(child, dict):
            yield from _batch_norms(child, scope, depth + 1)


def _between_0_and_1(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    return None
