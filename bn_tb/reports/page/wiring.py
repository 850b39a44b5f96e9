"""The piece of graph that proves how a layer's updates are wired, ready to be drawn."""

from typing import Any

from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring, UpdateOp, Wiring
from bn_tb.runs.tags import STATISTICS, Role

CAPTIONS = {
    "train": "Every training step runs the update ops, because an op that trains needs them.",
    "partly": "Only one of the two update ops is needed by an op that trains.",
    "loss": "Only {needed_by} needs the update ops. The optimizer does not evaluate it, so training"
    " steps do not run them.",
    "none": "No op that trains needs the update ops. They run only if the program also fetches"
    " them in session.run.",
    "other_model": "Only the train op of another model, {needed_by}, needs these update ops.",
    "inference": "The layer normalises with its moving statistics (inference mode); the graph has"
    " no op that updates them.",
    "no_updates": "The graph has no op that updates the moving statistics.",
    "no_training": "The graph has no optimizer; it proves nothing about training.",
}


def picture(layer: LayerWiring | None, graph: GraphEvidence | None) -> dict[str, Any] | None:
    """Returns variables, update ops, train op and the edges between them, or None without graph.

    Args:
      layer: What the graph says of the layer.
      graph: What the graphs of its run prove.

    Returns:
      `state`, one key of `CAPTIONS`; `caption`; `train_op` or None; `rows`, one per statistic,
      with its variable and its update ops.
    """
    if layer is None or graph is None or not (graph.trains or any(layer.updates.values())):
        return None  # the configuration of a Keras model has no ops
    rows = [_row(layer, role) for role in STATISTICS]
    state = _state(layer, graph)
    needed_by = next((op["needed_by"] for row in rows for op in row["updates"]), "")
    return {
        "state": state,
        "caption": CAPTIONS[state].format(needed_by=needed_by or "an op"),
        "train_op": _train_op(layer, graph),
        "training": layer.training,
        "rows": rows,
    }


def _row(layer: LayerWiring, role: Role) -> dict[str, Any]:
    return {
        "role": role.value,
        "variable": layer.variables.get(role, ""),
        # The first one is drawn: one that training does not run, if there is any.
        "updates": [
            _update(op)
            for op in sorted(layer.updates.get(role, ()), key=lambda op: op.wiring is Wiring.TRAIN)
        ],
    }


def _update(op: UpdateOp) -> dict[str, Any]:
    return {
        "name": op.name,
        "op": op.op,
        "wiring": op.wiring.value,
        "needed_by": op.needed_by,
    }


def _state(layer: LayerWiring, graph: GraphEvidence) -> str:
    updates = [op for role in STATISTICS for op in layer.updates.get(role, ())]
    if not updates:
        return "inference" if layer.training is False else "no_updates"
    kinds = {op.wiring for op in updates}
    if kinds == {Wiring.TRAIN}:
        return "train"
    if not graph.trains:
        return "no_training"
    if Wiring.TRAIN in kinds:
        return "partly"
    if Wiring.LOSS in kinds:
        return "loss"
    return "other_model" if Wiring.OTHER_MODEL in kinds else "none"


def _train_op(layer: LayerWiring, graph: GraphEvidence) -> str | None:
    """The op that needs the updates, or the optimizer op that should."""
    for role in STATISTICS:
        for op in layer.updates.get(role, ()):
            if op.wiring is Wiring.TRAIN and op.needed_by:
                return op.needed_by
    return next(iter(graph.train_ops or graph.optimizer_ops), None)
