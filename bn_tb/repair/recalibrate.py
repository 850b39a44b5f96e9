"""`bn_tb.recalibrate(model, batches)`: the statistics that evaluation needs, without a training."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bn_tb.errors import UsageError
from bn_tb.repair import comparison
from bn_tb.repair.model import Forward, adapter_of
from bn_tb.repair.moments import Statistics

MAX_BATCHES = 200
"""Batches that are enough for any layer: of 64 values each, a mean is known to 1 % of its sigma."""

_KEPT = 8  # batches that are evaluated before and after; some hundred examples, in memory meanwhile


@dataclasses.dataclass(frozen=True)
class Recalibration:
    """What `recalibrate` changed.

    Attributes:
      before: Statistics of each layer before, by name.
      after: Those that were written.
      left: Names of layers that were left alone, with the reason.
      batches: Batches that were used.
      scores: Share of right answers in evaluation mode before and after, of eight of the batches
        at most, or None where these have no labels.
    """

    before: Mapping[str, Statistics]
    after: Mapping[str, Statistics]
    left: Mapping[str, str]
    batches: int
    scores: tuple[float, float] | None = None

    def __str__(self) -> str:
        layers, batches = len(self.after), self.batches
        rows = [
            f"recalibrated {layers} layer{'s' * (layers != 1)} from {batches} "
            f"batch{'es' * (batches != 1)}"
        ]
        if self.scores:
            was, now = self.scores
            rows[0] += f": evaluation answers {now:.1%} right, {was:.1%} before"
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
    precise batch norm (Wu and Johnson 2021, https://arxiv.org/abs/2105.07576, section 3). Some of
    the batches, where they have labels, are evaluated before and after: what is worse is undone.

    Args:
      model: A torch.nn.Module or a Keras model.
      batches: Training batches: tensors, arrays, (inputs, labels), a DataLoader, a tf.data.Dataset.
      max_batches: Batches to use at most.
      forward: `forward(model, batch)` where the model is not called on the batch's first element.
      include_frozen: Whether frozen layers are estimated anew too.
      force: Whether to keep the new statistics where evaluation answers worse with them.

    Returns:
      What changed, per layer.

    Raises:
      UsageError: There is no batch norm or no batch; or evaluation answers worse with the new
        statistics, and so the model is as it was: it was trained with those that it has (training
        ran in evaluation mode), or the batches are not like those of training.
    """
    adapter = adapter_of(model)
    kept = list[Any]()
    passes = adapter.measure(model, _noted(batches, kept), max_batches, forward, include_frozen)
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
    before = {name: passes.stored[name] for name in finite}

    def score() -> float:
        """Returns the share of right answers in evaluation mode."""
        again = adapter.measure(model, kept, len(kept), forward, include_frozen)
        return again.outputs.scores[0] if again.outputs.scores else 0.0

    labelled = passes.outputs.scores is not None
    was = score() if labelled else 0.0
    adapter.write(model, finite)
    scores = (was, score()) if labelled else None
    if scores and comparison.is_worse(*scores) and not force:
        adapter.write(model, before)
        raise UsageError(comparison.refusal(*scores, passes.outputs))
    return Recalibration(before, finite, left, passes.batches, scores)


def _noted(batches: Iterable[Any], kept: list[Any]) -> Iterator[Any]:
    """Yields batches, and keeps some of them, evenly over all that were yielded."""
    every = 1
    for at, batch in enumerate(batches):
        if at % every == 0 and len(kept) == _KEPT:
            del kept[1::2]
            every *= 2
        if at % every == 0:
            kept.append(batch)
        yield batch
