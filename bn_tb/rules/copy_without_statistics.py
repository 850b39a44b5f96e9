"""## What it does
Finds copies of a network (weight averages, teachers, target networks) whose weights move while
their moving statistics stay at the initial values.

## Why is this bad?
The code that makes the copy goes over `parameters()` or `trainable_variables`, which do not hold
the statistics. The copy is what is evaluated, deployed or used as target, and it normalises with
mean 0 and variance 1.

## How it is decided
A layer's name has a component of a copy (ema, teacher, target, averaged, swa, shadow, momentum
encoder ...), a layer with the same name behind it, without such a component, moves, the copy's
statistics are bit for bit initial, and weights of the copy change.

## Example
    model.bn1.running_mean          moves
    ema_model.bn1.weight            changes
    ema_model.bn1.running_mean      exactly 0 at all points

## When it is wrong
A copy that is never evaluated and always called in training mode.

## How to fix it
Copy the buffers too (`for a, b in zip(ema.buffers(), model.buffers()): a.copy_(b)`,
`AveragedModel(model, use_buffers=True)`), or run `torch.optim.swa_utils.update_bn(loader, ema)`
before using the copy. Keras: go over `weights`, not `trainable_weights`.

## References
- https://github.com/pytorch/ignite/issues/2590
- https://github.com/CuriousAI/mean-teacher/issues/9
- https://github.com/DLR-RM/stable-baselines3/issues/996
"""

import re
from collections.abc import Iterator, Mapping

from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict

_COPY_WORDS = frozenset(
    (
        *("ema", "teacher", "target", "average", "averaged", "avg", "swa", "shadow", "momentum"),
        *("slow", "polyak", "key", "k"),
    )
)
_SPLIT = re.compile(r"[/.]")
_WORD = re.compile(r"[a-z]+")
_WRAPPERS = ("module", "model", "net", "network")
FIX = (
    "Copy the statistics with the weights. PyTorch:\n\n"
    "    for copied, own in zip(ema.buffers(), model.buffers()):\n"
    "        copied.copy_(own)\n\n"
    "or AveragedModel(model, use_buffers=True), or update_bn(loader, ema) before the copy is used. "
    "Keras: go over model.weights, not model.trainable_weights."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such copies."""
    moving = {}
    for layer in subject.layers:
        if layer.motion is Motion.MOVING and _copy_of(layer.name) is None:
            moving.update(dict.fromkeys(_endings(layer.name), layer.name))
    found = []
    for layer in subject.layers:
        copied = _copy_of(layer.name) if layer.motion is Motion.INITIAL else None
        if copied is None or copied[1] not in moving:
            continue
        weight = _moving_weight(subject, layer, copied[0])
        if weight:
            found.append((layer.name, moving[copied[1]], weight))
    if found:
        names = tuple(name for name, _, _ in found)
        copy, original, weight = (shortened(name) for name in found[0])
        yield Evidence(
            message=(
                f"The copy takes over the weights and not the moving statistics: those of "
                f"{layers_in_words(names)} still hold their initial values, those of the original "
                "move."
            ),
            proof=(f"{original} moves", f"{weight} changes", f"{copy} is exactly initial"),
            fix=FIX,
            layers=names,
        )


def _parts(name: str) -> list[str]:
    return [part for part in _SPLIT.split(name.lower()) if part]


def _copy_of(name: str) -> tuple[str, str] | None:
    """Returns the component that names a copy and what follows it, or None."""
    parts = _parts(name)
    for at, part in enumerate(parts[:-1]):
        if _COPY_WORDS.intersection(_WORD.findall(part)):
            rest = parts[at + 1 :]
            while len(rest) > 1 and rest[0] in _WRAPPERS:
                rest = rest[1:]
            return part, ".".join(rest)
    return None


def _endings(name: str) -> Iterator[str]:
    parts = _parts(name)
    return (".".join(parts[at:]) for at in range(len(parts)))


def _moving_weight(subject: Subject, layer: BatchNormLayer, component: str) -> str:
    """Returns a weight of the copy that changes: the layer's own, or of the same copy."""
    moved = subject.activity.moved
    own = [tag for tag in layer.weights if tag in moved]
    same = [] if own else [tag for tag in moved if component in _parts(tag)]
    return next(iter(own or same), "")


RULE = Rule(
    "BN107",
    "copy-without-statistics",
    Severity.ERROR,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.STALE, as_info=True),
    covers=("BN101",),
)
