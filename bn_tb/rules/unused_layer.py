"""## What it does
Finds layers of which nothing ever changed, neither statistics nor gamma nor beta, in a network
whose other layers of batch norm were trained.

## Why is this bad?
No forward pass reaches such a layer: it was built in `__init__` and is not called in `forward`, so
the network is not the one that was meant. Or it was frozen at birth (evaluation mode and no
gradients, without pretrained values): then it passes on what it gets, and does not normalise.

## How it is decided
Both statistics are exactly 0 and 1 at every point, gamma is exactly 1 (or 0, as at the end of
residual blocks) and beta exactly 0, and `num_batches_tracked` is 0 where it is logged or saved: a
layer that runs gets gradients for gamma and beta, in evaluation mode too, and counts its batches in
training mode. Another batch norm of the run did run, and training is proved as for BN101.

Where a monitor counted forward passes, they say which of the two it is.

Asked of PyTorch, where a layer that is never called has variables, and wherever a counter of
updates stands at 0. One checkpoint that does not hold the steps of an optimizer may have been
saved before the first step of a fine-tuning: then this is information.

## Example
    bn3: running_mean 0, running_var 1, weight 1, bias 0, num_batches_tracked 0 after 196 steps
    bn1: num_batches_tracked 196

## When it is wrong
Layers for another task or input, which this training does not use.

## How to fix it
Call the layer in `forward`, or delete it. If it was frozen on purpose: load pretrained statistics,
gamma and beta, or train it.

## References
- https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.untouched import untouched_among_trained
from bn_tb.layers import BatchNormLayer
from bn_tb.rules._held import held
from bn_tb.rules._training import Proof, proof_of_training
from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.tags import Role

FROZEN_FIX = (
    "Load pretrained statistics, gamma and beta, or train the layers: let their parameters have "
    "gradients, and call train() on them after every model.train(). As they are, they pass on what "
    "they get, and do not normalise."
)
FIX = (
    "Call the layer in forward(), or delete it: a forward hook tells whether it is called, and "
    "bn_tb's monitors count its passes. If it was frozen on purpose (eval(), no gradients), load "
    "pretrained statistics, gamma and beta, or train it: as it is, it does nothing."
)


_COUNTED = {
    Role.UPDATE_COUNT: "updates counted",
    Role.TRAINING_PASSES: "passes in training mode counted",
    Role.EVALUATION_PASSES: "passes in evaluation mode counted",
}


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for layers that nothing reaches, one for those in evaluation."""
    layers = untouched_among_trained(subject.layers)
    if not layers:
        return
    last = max(layer.steps[1] for layer in layers if layer.steps)
    proof = proof_of_training(subject, last)
    for reached in (False, True):
        some = tuple(layer for layer in layers if bool(_passes(layer)) == reached)
        if proof is not None and some:
            yield _evidence(subject, some, last, proof, reached)


def _passes(layer: BatchNormLayer) -> float | None:
    """Returns how many forward passes reached a layer, in any mode, or None if nobody counted."""
    roles = Role.TRAINING_PASSES, Role.EVALUATION_PASSES
    counted = [layer.counters[role].values for role in roles if role in layer.counters]
    return sum(float(one[-1]) for one in counted if one.size) if counted else None


def _evidence(
    subject: Subject, layers: tuple[BatchNormLayer, ...], last: int, proof: Proof, reached: bool
) -> Evidence:
    names = tuple(layer.name for layer in layers)
    early = _may_be_early(subject, layers)
    it, frozen = ("them", "they were") if len(names) > 1 else ("it", "it was")
    why = f"no forward pass reaches {it}, or {frozen} frozen at birth"
    if reached:
        why = f"forward passes reach {it}, but in evaluation mode only: {frozen} frozen at birth"
    elif all(_passes(layer) == 0 for layer in layers):
        why = f"no forward pass reached {it}"
    return Evidence(
        message=(
            f"Nothing of {layers_in_words(list(names))} ever changed until step {last}, neither "
            f"statistics nor gamma nor beta, while other layers were trained: {why}."
        ),
        proof=(*held(subject, layers[0]), *_values(layers[0]), proof.line),
        fix=FROZEN_FIX if reached else FIX,
        layers=names,
        step=last,
        severity=Severity.INFO if early else None,
        confidence=Confidence.SUSPECT if early else Confidence.LIKELY,
    )


def _may_be_early(subject: Subject, layers: tuple[BatchNormLayer, ...]) -> bool:
    """Returns whether one checkpoint is all there is, and it counts no steps of an optimizer."""
    points = max(series.steps.size for layer in layers for _, series in layer.finite)
    counted = any(one.optimizer_steps for one in subject.run.checkpoints)
    return points < 2 and not counted


def _values(layer: BatchNormLayer) -> Iterator[str]:
    for tag, series in layer.weights.items():
        yield f"{shortened(tag)}: exactly {series.minimum[0]:g}"
    for role, counter in layer.counters.items():
        if role in _COUNTED and counter.values.size:
            yield f"{_COUNTED[role]} by {layer.name}: {counter.values[-1]:.0f}"


RULE = Rule("BN109", "unused-layer", Severity.WARNING, check, __doc__ or "")
