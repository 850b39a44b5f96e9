"""Which framework a model is of, without importing one that is not there."""

import dataclasses
import importlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from bn_tb.errors import UsageError
from bn_tb.repair.moments import Statistics
from bn_tb.repair.outputs import Outputs

_ADAPTERS = {
    "torch.nn": "bn_tb.repair.pytorch",
    "keras": "bn_tb.repair.keras",
    "tf_keras": "bn_tb.repair.keras",
}
"""Adapter by the package in which a base class of the model is defined."""

RENORM = (
    "{name} renormalises: training normalised with averages of its own, renorm_mean and "
    "renorm_stddev, and the weights fit these, not the statistics of batches"
)
"""Why statistics of batches would do harm."""

Forward = Callable[[Any, Any], Any]
"""Calls a model on a batch and returns its output."""


@dataclasses.dataclass(frozen=True)
class Passes:
    """What an adapter measured over some batches.

    Attributes:
      stored: What each layer holds, by name.
      seen: Statistics of what each layer saw in training mode; layers without are left out.
      momenta: Weight of the old value per update, by name, where it is known.
      frozen: Names of layers that are frozen.
      outputs: What the model made of the batches in both modes.
      batches: Number of batches.
    """

    stored: dict[str, Statistics]
    seen: dict[str, Statistics]
    momenta: dict[str, float]
    frozen: frozenset[str]
    outputs: Outputs
    batches: int


class Adapter(Protocol):
    """What check and recalibrate need of a framework."""

    def measure(
        self,
        model: Any,
        batches: Iterable[Any],
        most: int,
        forward: Forward | None,
        frozen: bool | None,
    ) -> Passes:
        """Runs batches and leaves model, optimizer and random state as they were."""

    def write(self, model: Any, statistics: dict[str, Statistics]) -> None:
        """Writes statistics into the layers of these names."""


def adapter_of(model: Any) -> Adapter:
    """Returns the adapter for a model.

    Raises:
      UsageError: It is no model of PyTorch or Keras.
    """
    for base in type(model).__mro__:
        for package, home in _ADAPTERS.items():
            if base.__module__ == package or base.__module__.startswith(f"{package}."):
                adapter: Adapter = importlib.import_module(home)
                return adapter
    raise UsageError(
        f"{type(model).__module__}.{type(model).__name__} is no torch.nn.Module or Keras model; "
        "of a TensorFlow 1 session see bn_tb.monitor.tf1.recalibrate"
    )


def inputs_of(batch: Any) -> Any:
    """Returns what a model is called on: the first of a tuple or list, else the batch itself."""
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "_fields"):
        if not batch:
            raise UsageError("a batch is an empty list; want tensors or (inputs, labels)")
        return batch[0]
    return batch
