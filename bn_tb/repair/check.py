"""`bn_tb.check(model, batches)`: whether a model's statistics are those of some batches."""

from collections.abc import Iterable
from typing import Any

from bn_tb.diagnosis.diagnosing import judge_modes
from bn_tb.errors import UsageError
from bn_tb.evidence.modes import LayerModes, Modes
from bn_tb.repair import comparison
from bn_tb.repair.model import Forward, Passes, adapter_of
from bn_tb.reports.diagnoses import Diagnoses

MAX_BATCHES = 20


def check(
    model: Any,
    batches: Iterable[Any],
    max_batches: int = MAX_BATCHES,
    *,
    forward: Forward | None = None,
) -> Diagnoses:
    """Runs batches in evaluation and in training mode and judges what differs (BN503).

    Model, optimizer and random states are left bit for bit as they were; dropout and other noise
    are off in both modes.

    Args:
      model: A torch.nn.Module or a Keras model.
      batches: Batches of the data that evaluation will see: as for `recalibrate`.
      max_batches: Batches to run at most.
      forward: `forward(model, batch)` where the model is not called on the batch's first element.

    Returns:
      What `diagnose` returns, for one run named `model`.

    Raises:
      UsageError: There is no batch norm or no batch.
    """
    passes = adapter_of(model).measure(model, batches, max_batches, forward, None)
    if not passes.stored:
        raise UsageError("the model has no batch-norm layer that keeps moving statistics")
    if not passes.batches:
        raise UsageError("there was no batch; a generator that was used up must be made anew")
    return Diagnoses((judge_modes("model", modes_of(passes)),))


def modes_of(passes: Passes) -> Modes:
    """Returns what was measured as evidence for the rules."""
    layers = tuple(
        LayerModes(
            one.layer,
            one.means,
            one.ratio,
            one.initial,
            one.share,
            passes.momenta.get(one.layer),
            one.frozen,
            one.finite,
            one.least,
        )
        for one in comparison.distances(passes)
    )
    return Modes(layers, passes.outputs.difference, passes.outputs.scores, passes.batches)
