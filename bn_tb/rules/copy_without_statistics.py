"""## What it does
Finds copies of a network (weight averages, teachers, target networks) whose weights move while
their moving statistics stay at the initial values.

## Why is this bad?
The code that makes the copy goes over `parameters()` or `trainable_variables`, which do not hold
the statistics. The copy is what is evaluated, deployed or used as target, and it normalises with
mean 0 and variance 1.

## How it is decided
There may be a copy where a layer's name has a component of one (ema, teacher, target, averaged,
swa, shadow, momentum encoder ...) before the name of another layer, where a whole model is there
twice, or where another run of the experiment logs the same layers. It is one where its weights
follow those of the original: they are points of it bit for bit, or go one share of their way to it
from point to point, which explains all but 20 % of their movement (measured in
`bn_tb/evidence/following.py`). Networks that are trained side by side (mutual learning, ensembles)
are no copies. Where the weights of one of the two are not logged, or too few points, a name that
says so makes it likely.

Then the layer of the original moves, the copy's statistics are bit for bit constant, and weights of
the copy change. In one checkpoint: the statistics of a copy by name are initial, those of the
original are not.

## Example
    model.bn1.running_mean          moves
    ema_model.bn1.weight            changes
    ema_model.bn1.running_mean      exactly 0 at all points

## When it is wrong
A copy that is never evaluated and always called in training mode.

## How to fix it
Copy the buffers too (`for a, b in zip(ema.buffers(), model.buffers()): a.copy_(b)`,
`AveragedModel(model, use_buffers=True)`), or run `torch.optim.swa_utils.update_bn(loader, ema)`
before using the copy. Keras: go over `weights`, not `trainable_weights`; TensorFlow 1: over
`GLOBAL_VARIABLES` of the scope, not `TRAINABLE_VARIABLES`.

## References
- https://github.com/pytorch/ignite/issues/2590
- https://github.com/CuriousAI/mean-teacher/issues/9
- https://github.com/DLR-RM/stable-baselines3/issues/996
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.copies import Copy
from bn_tb.evidence.figures import between
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._held import held
from bn_tb.rules._wiring import WIRING
from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such copies, apart for those that are only likely."""
    found: dict[Confidence, list[tuple[BatchNormLayer, Copy, str]]] = {}
    for layer in subject.layers:
        copy = subject.copies.get(layer.name)
        if copy is None or layer.motion not in (Motion.INITIAL, Motion.CONSTANT):
            continue
        weight = _moving_weight(subject, layer, copy.model)
        original = copy.original.motion
        saved = original is Motion.SNAPSHOT and layer.motion is Motion.INITIAL and copy.named
        if saved or (original is Motion.MOVING and weight):
            confidence = Confidence.CONFIRMED if copy.shown or saved else Confidence.LIKELY
            found.setdefault(confidence, []).append((layer, copy, weight))
    for confidence, entries in found.items():
        yield _evidence(subject, entries, confidence)


def _evidence(
    subject: Subject, entries: list[tuple[BatchNormLayer, Copy, str]], confidence: Confidence
) -> Evidence:
    names = tuple(layer.name for layer, _, _ in entries)
    layer, copy, weight = entries[0]
    initial = layer.motion is Motion.INITIAL
    stand = "still hold their initial values" if initial else "stay as they are"
    lines = held(subject, layer) if initial else (f"{shortened(layer.name)} is constant",)
    changes = f"{shortened(weight)} changes" + (", and follows the original" if copy.shown else "")
    copied = "The copy" if confidence is Confidence.CONFIRMED else "By its name there is a copy: it"
    return Evidence(
        message=(
            f"{copied} takes over the weights and not the moving statistics: those of "
            f"{layers_in_words(names)} {stand}, those of the original move."
        ),
        proof=(_original(copy), *((changes,) if weight else ()), *lines),
        fix=_fixes.COPY,
        layers=names,
        confidence=confidence,
    )


def _original(copy: Copy) -> str:
    """Returns that the original moved: from point to point, or away from its initial values."""
    layer, run = copy.original, f" (run {shortened(copy.run)})" if copy.run else ""
    if layer.motion is Motion.MOVING:
        return f"{shortened(layer.name)}{run} moves"
    role, series = layer.finite[0]
    values = between(series.minimum[-1], series.maximum[-1])
    return f"{role.value} of {shortened(layer.name)}{run}: {values}, not initial"


def _moving_weight(subject: Subject, layer: BatchNormLayer, model: str) -> str:
    """Returns a weight of the copy that changes: the layer's own, or of the same copy.

    Args:
      subject: The run.
      layer: The layer.
      model: The component that names the copy; empty where the whole run is one.
    """
    moved = subject.activity.moved
    same = (tag for tag in moved if model in ("", *tag.lower().replace("/", ".").split(".")))
    return next(iter([tag for tag in layer.weights if tag in moved] or same), "")


RULE = Rule(
    "BN107",
    "copy-without-statistics",
    Severity.ERROR,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.STALE, as_info=True),
    covers=("BN101", "BN102", *WIRING),
)
