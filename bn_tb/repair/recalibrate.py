"""`bn_tb.recalibrate(model, batches)`: the statistics that evaluation needs, without a training."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from bn_tb.errors import UsageError
from bn_tb.repair import comparison
from bn_tb.repair.model import Forward, adapter_of
from bn_tb.repair.moments import Statistics

MAX_BATCHES = 200
"""Batches that are enough for any layer: of 64 values each, a mean is known to 1 % of its sigma."""


@dataclasses.dataclass(frozen=True)
class Recalibration:
    """What `recalibrate` changed.

    Attributes:
      before: Statistics of each layer before, by name.
      after: Those that were written.
      left: Names of layers that were left alone, with the reason.
      batches: Batches that were used.
    """

    before: Mapping[str, Statistics]
    after: Mapping[str, Statistics]
    left: Mapping[str, str]
    batches: int

    def __str__(self) -> str:
        layers, batches = len(self.after), self.batches
        rows = [
            f"recalibrated {layers} layer{'s' * (layers != 1)} from {batches} "
            f"batch{'es' * (batches != 1)}"
        ]
        for name, new in self.after.items():
            if not self.before[name].finite:
                rows.append(f"  {name}: its statistics were not finite")
                continue
            distance, ratio = comparison.distance(self.before[name], new)
            rows.append(
                f"  {name}: means were {distance:.2g} sigma away, variances {ratio:.3g} times "
                "those of the data"
            )
        rows += [f"  {name}: left alone, {reason}" for name, reason in self.left.items()]
        return "\n".join(rows)


def recalibrate(
    model: Any,
    batches: Iterable[Any],
    max_batches: int = MAX_BATCHES,
    *,
    forward: Forward | None = None,
    include_frozen: bool = False,
    force: bool = False,
) -> Recalibration:
    """Estimates the moving statistics of a model anew, in place, and leaves everything else.

    All layers normalise with their batches while means and second moments are averaged over all
    values, so that the variance between batches counts; dropout and other noise are off. Known as
    precise batch norm (Wu and Johnson 2021, https://arxiv.org/abs/2105.07576, section 3).

    Args:
      model: A torch.nn.Module or a Keras model.
      batches: Training batches: tensors, arrays, (inputs, labels), a DataLoader, a tf.data.Dataset.
      max_batches: Batches to use at most.
      forward: `forward(model, batch)` where the model is not called on the batch's first element.
      include_frozen: Whether frozen layers are estimated anew too.
      force: Whether to go on where the weights fit the statistics as they are.

    Returns:
      What changed, per layer.

    Raises:
      UsageError: There is no batch norm or no batch; or layers normalise with statistics that they
        were trained with (training ran in evaluation mode), which new ones would not fit.
    """
    adapter = adapter_of(model)
    passes = adapter.measure(model, batches, max_batches, forward, include_frozen)
    if not passes.stored:
        raise UsageError("the model has no batch-norm layer that keeps moving statistics")
    if not passes.batches:
        raise UsageError("there was no batch; a generator that was used up must be made anew")
    finite = {name: one for name, one in passes.seen.items() if one.finite}
    left = {name: "frozen" for name in passes.frozen if name not in passes.seen}
    left |= {
        name: "no forward pass reaches it"
        for name in passes.stored
        if name not in passes.seen and name not in left
    }
    left |= {name: "its batches are not finite" for name in passes.seen if name not in finite}
    if not force:
        comparison.refuse_if_trained_with(passes)
    adapter.write(model, finite)
    before = {name: passes.stored[name] for name in finite}
    return Recalibration(before, finite, left, passes.batches)
