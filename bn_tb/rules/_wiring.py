"""What rules about graphs share."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring, UpdateOp, Wiring
from bn_tb.layers import BatchNormLayer, Motion
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity

WIRING = ("BN401", "BN402", "BN403", "BN404", "BN405")
"""Codes that say why statistics stand still, where a graph tells."""

_BEST_FIRST = (Wiring.TRAIN, Wiring.LOSS, Wiring.OTHER_MODEL, Wiring.NONE)
_MOVES = (Motion.MOVING, Motion.HALF)
_STANDS = (Motion.INITIAL, Motion.CONSTANT)

MOVING_REMARK = "; the histograms move, so the program runs them in another way"
MOVING_FIX = (
    "Nothing, while the program itself runs the updates with every training step, as "
    "session.run([train_op, update_ops]) does. Control dependencies would make sure of it."
)
FETCH_REMARK = ", unless the program fetches them in session.run itself (no histogram tells)"

_LIBRARY_UPDATE = re.compile(r"(?:^|/)AssignMovingAvg(?:_\d+)?(?:/[^/]+)?$")
_NAMED_OPS = 2
"""Update ops named in a line: one of the mean, one of the variance."""
_OP_LINES = 3
"""Lines, each of the ops that one op needs; graphs of unknown origin may hold thousands."""


def updates_of(wiring: LayerWiring) -> tuple[UpdateOp, ...]:
    """Returns the update ops of both statistics."""
    return tuple(update for updates in wiring.updates.values() for update in updates)


def wiring_of(wiring: LayerWiring) -> Wiring | None:
    """Returns the best wiring that the updates of a layer have, or None without update ops.

    A trace in which an update ran beside the optimizer is as good as an edge.
    """
    if any(update.ran for update in updates_of(wiring)):
        return Wiring.TRAIN
    found = {update.wiring for update in updates_of(wiring)}
    return next((best for best in _BEST_FIRST if best in found), None)


def uncollected(wiring: LayerWiring) -> bool:
    """Returns whether a layer is Keras' and UPDATE_OPS does not hold its updates.

    Keras' variables are handles (resources) wherever UPDATE_OPS matters.
    """
    if wiring.keras or wiring.in_update_ops is not False:
        return wiring.keras and not wiring.in_update_ops
    return not by_hand(wiring) and all("Variable" in one.op for one in updates_of(wiring))


def by_hand(wiring: LayerWiring) -> bool:
    """Returns whether a layer was written by hand: its names or ops are not those of a library.

    Libraries name the variables `moving_mean` and `moving_variance` and update each in a scope
    `AssignMovingAvg` (tensorflow/python/training/moving_averages.py, Keras' normalisation layers).
    """
    names = (name.rpartition("/")[2] == role.value for role, name in wiring.variables.items())
    ops = (_LIBRARY_UPDATE.search(update.name) for update in updates_of(wiring))
    return not (all(names) and all(ops))


def frozen_on_purpose(layer: BatchNormLayer) -> bool:
    """Returns whether no optimizer trains a layer, whose statistics are those of another training.

    Statistics that are not logged may be. Those that move are not frozen, and initial ones are of
    no training.
    """
    trained = layer.wiring.trained if layer.wiring else None
    return trained is False and layer.motion not in (*_MOVES, Motion.INITIAL)


def by_motion(
    layers: Sequence[BatchNormLayer],
) -> Iterator[tuple[list[BatchNormLayer], Severity, Confidence, str]]:
    """Groups layers by what histograms say of the wiring, with severity, confidence and remark."""
    moving = [layer for layer in layers if layer.motion in _MOVES]
    standing = [layer for layer in layers if layer.motion in _STANDS]
    unknown = [layer for layer in layers if layer.motion not in _MOVES + _STANDS]
    if moving:
        yield moving, Severity.INFO, Confidence.CONFIRMED, MOVING_REMARK
    if standing:
        yield standing, Severity.WARNING, Confidence.CONFIRMED, ""
    if unknown:
        yield unknown, Severity.WARNING, Confidence.LIKELY, FETCH_REMARK


def op_lines(layers: Sequence[BatchNormLayer], graph: GraphEvidence) -> tuple[str, ...]:
    """Returns lines that name update ops, by what needs them, and the optimizer."""
    needing: dict[str, list[tuple[str, str]]] = {}
    for layer in layers:
        for update in updates_of(layer.wiring) if layer.wiring else ():
            needing.setdefault(update.needed_by, []).append((update.name, layer.name))
    lines = [
        f"update ops needed by {needed_by or 'nothing'}: {_some_ops(ops)}"
        for needed_by, ops in itertools.islice(needing.items(), _OP_LINES)
    ]
    if graph.optimizer_ops:
        more = f" and {len(graph.optimizer_ops) - 1} more" if len(graph.optimizer_ops) > 1 else ""
        lines.append(f"the optimizer's ops: {graph.optimizer_ops[0]}{more}")
    return tuple(lines)


def _some_ops(ops: Sequence[tuple[str, str]]) -> str:
    """Returns `a, b and 4 more of 2 layers` for ops with their layers."""
    names = ", ".join(name for name, _ in ops[:_NAMED_OPS])
    left = [layer for _, layer in ops[_NAMED_OPS:]]
    if not left:
        return names
    layers = len(set(left))
    return f"{names} and {len(left)} more of {layers} layer{'s' if layers > 1 else ''}"


def unneeded(
    subject: Subject,
    speaks_of: Callable[[LayerWiring], bool],
    sentence: str,
    fix: Callable[[list[BatchNormLayer]], str],
) -> Iterator[Evidence]:
    """Yields evidence on layers whose updates nothing needs that runs the optimizer.

    Layers that move, stand still and are not logged are told apart; those that are frozen on
    purpose are left out.

    Args:
      subject: What is judged; without a graph that trains there is no evidence.
      speaks_of: Whether the rule speaks of a layer of which nothing needs the updates.
      sentence: The message, with `{layers}` and `{remark}`.
      fix: What to change, for some layers.
    """
    if subject.graph is None or not subject.graph.trains:
        return
    found = [
        layer
        for layer in subject.layers
        if layer.wiring and not layer.wiring.copied  # whose updates nobody should run
        if wiring_of(layer.wiring) is Wiring.NONE and speaks_of(layer.wiring)
        if not frozen_on_purpose(layer)
    ]
    for layers, severity, confidence, remark in by_motion(found):
        names = tuple(layer.name for layer in layers)
        yield Evidence(
            message=sentence.format(layers=layers_in_words(names), remark=remark),
            proof=op_lines(layers, subject.graph),
            fix=MOVING_FIX if severity is Severity.INFO else fix(layers),
            layers=names,
            severity=severity,
            confidence=confidence,
        )
