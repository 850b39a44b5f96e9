"""Keras 3 (TensorFlow and torch backends) and tf_keras; imported for Keras models only.

With momentum 0 a layer's own update leaves exactly the statistics of the batch in its variables, so
nothing of the layer is computed here.
"""

import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from bn_tb.errors import UsageError
from bn_tb.repair.model import RENORM, Forward, Passes, inputs_of
from bn_tb.repair.moments import Moments, Statistics
from bn_tb.repair.outputs import Outputs

_NOISE = ("rate", "stddev", "drop_rate", "survival_probability")
"""Attributes that switch the noise of a layer off when they are 0 (the last: 1)."""


def layers_of(model: Any) -> dict[str, Any]:
    """Returns the batch-norm layers of a model, also of models and wrappers inside it, by name."""
    found: dict[str, Any] = {}
    for layer in model._flatten_layers():
        if hasattr(layer, "moving_mean") and hasattr(layer, "moving_variance"):
            name = getattr(layer, "path", None) or layer.name
            while name in found:
                name += "'"
            found[name] = layer
    return found


def measure(
    model: Any,
    batches: Iterable[Any],
    most: int,
    forward: Forward | None = None,
    frozen: bool | None = False,
) -> Passes:
    """Runs batches in both modes; see `repair.model.Adapter`.

    Args:
      model: A built model.
      batches: Arrays, tensors, (inputs, labels), a tf.data.Dataset or a PyDataset.
      most: Batches to run at most.
      forward: Calls the model on (model, batch, training).
      frozen: Whether frozen layers are measured too, as if they were not; None: if there are no
        others.

    Raises:
      UsageError: A layer renormalises.
    """
    layers = layers_of(model)
    for name, layer in layers.items():
        if getattr(layer, "renorm", False):
            raise UsageError(RENORM.format(name=name))
    held = frozenset(name for name, layer in layers.items() if not layer.trainable)
    moments: dict[str, Moments] = {}
    outputs, ran = Outputs(), 0
    stored = {name: _stored(layer) for name, layer in layers.items()}
    all_of_them = frozen or (frozen is None and len(held) == len(layers))
    measured = {name: layer for name, layer in layers.items() if all_of_them or name not in held}
    with _left_as_it_was(model, layers, measured):
        for batch in batches:
            if ran == most:
                break
            for name, layer in layers.items():
                _assign(layer, stored[name])
            plain = _outputs(_call(model, batch, False, forward))
            for name, layer in measured.items():
                _assign(layer, _finite(stored[name]))  # 0 times NaN is NaN
            trained = _outputs(_call(model, batch, True, forward))
            ran += 1
            for name, layer in measured.items():
                now = _stored(layer)
                moments.setdefault(name, Moments()).add(now.mean, now.variance, _examples(batch))
            outputs.add(plain, trained, batch)
    return Passes(
        stored=stored,
        seen={name: each for name, one in moments.items() if (each := one.statistics())},
        momenta={name: float(layer.momentum) for name, layer in layers.items()},
        frozen=held,
        outputs=outputs,
        batches=ran,
    )


def write(model: Any, statistics: dict[str, Statistics]) -> None:
    """Writes statistics into the layers' variables."""
    layers = layers_of(model)
    for name, one in statistics.items():
        _assign(layers[name], one)


def _examples(batch: Any) -> float:
    """Returns the examples of a batch: batches count by their size, positions are alike in all."""
    inputs = inputs_of(batch)
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    first = first[0] if isinstance(first, (list, tuple)) else first
    return float(first.shape[0]) if getattr(first, "shape", ()) else 1.0


def _call(model: Any, batch: Any, training: bool, forward: Forward | None) -> Any:
    if forward is not None:
        return forward(model, (batch, training))
    return model(inputs_of(batch), training=training)


def _stored(layer: Any) -> Statistics:
    return Statistics(values_of(layer.moving_mean), values_of(layer.moving_variance))


def _finite(one: Statistics) -> Statistics:
    mean, variance = (np.where(np.isfinite(v), v, 0.0) for v in (one.mean, one.variance))
    return Statistics(mean, variance)


def _assign(layer: Any, statistics: Statistics) -> None:
    layer.moving_mean.assign(statistics.mean.astype(np.float32))
    layer.moving_variance.assign(statistics.variance.astype(np.float32))


def values_of(value: Any) -> np.ndarray:
    """Returns a copy of a variable or tensor of any backend, float64, in its shape."""
    value = getattr(value, "value", value)
    value = value() if callable(value) else value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value, np.float64).copy()


def _outputs(output: Any) -> list[np.ndarray]:
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        return [array for one in output for array in _outputs(one)]
    array = values_of(output)
    return [array] if array.size else []


@contextlib.contextmanager
def _left_as_it_was(model: Any, layers: dict[str, Any], measured: dict[str, Any]) -> Iterator[None]:
    """Sets momenta to 0 and noise off; puts everything back, random states too."""
    before = [(layer, name, value) for layer, name, value in _switches(model, measured)]
    weights = [(v, values_of(v)) for v in model.non_trainable_variables if _is_seed(v)]
    statistics = {name: (layer, _stored(layer)) for name, layer in layers.items()}
    thawed = [layer for layer in measured.values() if not layer.trainable]
    python, state = random.getstate(), np.random.get_state()
    try:
        for layer, name, _ in before:
            setattr(layer, name, 1.0 if name == "survival_probability" else 0.0)
        for layer in thawed:
            layer.trainable = True
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)
        for layer in thawed:
            layer.trainable = False
        for layer, one in statistics.values():
            _assign(layer, one)
        for variable, value in weights:
            variable.assign(value.astype(np.uint32))
        random.setstate(python)
        np.random.set_state(state)


def _switches(model: Any, measured: dict[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    for layer in measured.values():
        yield layer, "momentum", layer.momentum
    for layer in model._flatten_layers():
        for name in _NOISE:
            if isinstance(value := getattr(layer, name, None), (int, float)) and value:
                yield layer, name, value


def _is_seed(variable: Any) -> bool:
    return "seed_generator" in str(getattr(variable, "path", getattr(variable, "name", "")))
