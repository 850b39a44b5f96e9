"""TensorFlow 1 sessions: check and repair by the update ops of the graph."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bn_tb.diagnosis.diagnosing import judge_modes
from bn_tb.errors import UsageError
from bn_tb.repair.check import MAX_BATCHES as CHECKED_BATCHES
from bn_tb.repair.check import modes_of
from bn_tb.repair.model import RENORM, Passes
from bn_tb.repair.moments import Moments, Statistics
from bn_tb.repair.outputs import Outputs
from bn_tb.repair.recalibrate import MAX_BATCHES, Recalibration
from bn_tb.reports.diagnoses import Diagnoses
from bn_tb.runs.tags import STATISTICS, ParsedTag, Role, parse_tag

v1 = tf.compat.v1
Feed = Mapping[Any, Any]


def check(
    session: Any,
    feeds: Iterable[Feed],
    output: Any,
    evaluation: Feed,
    max_batches: int = CHECKED_BATCHES,
    *,
    update_ops: Sequence[Any] | None = None,
) -> Diagnoses:
    """Runs batches in training and in evaluation mode and judges what differs (BN503).

    The statistics are as before afterwards; random ops of the graph, such as dropout, draw on.

    Args:
      session: A session whose variables are initialised.
      feeds: One feed_dict a batch, with the training flag fed as in training.
      output: What the network computes, such as the logits.
      evaluation: What is fed otherwise in evaluation: `{is_training: False}`.
      max_batches: Batches to use at most.
      update_ops: As for `recalibrate`.

    Returns:
      What `diagnose` returns, for one run named `session`.

    Raises:
      UsageError: As for `recalibrate`.
    """
    outputs = Outputs()

    def compared(feed: Feed) -> None:
        modes = [session.run(output, feed_dict=one) for one in ({**feed, **evaluation}, feed)]
        evaluated, trained = (np.asarray(one, np.float64) for one in modes)
        outputs.add([evaluated], [trained], None)

    seen = _measured(session, feeds, max_batches, update_ops, compared)
    passes = Passes(
        seen.before, seen.statistics(), seen.momenta(), frozenset(), outputs, seen.batches
    )
    modes = dataclasses.replace(modes_of(passes), session=True)
    return Diagnoses((judge_modes("session", modes),))


def recalibrate(
    session: Any,
    feeds: Iterable[Feed],
    max_batches: int = MAX_BATCHES,
    *,
    update_ops: Sequence[Any] | None = None,
) -> Recalibration:
    """Estimates the moving statistics of a session's graph anew and writes the variables.

    Only update ops are run. What one of them leaves in a variable that was set to 0 is (1 - m)
    times the batch's statistic; one more run from 1 tells m, so that momentum is undone exactly,
    whatever it is.

    Args:
      session: A session whose variables are initialised.
      feeds: One feed_dict a batch, with the training flag fed as in training.
      max_batches: Batches to use at most.
      update_ops: By default those in UPDATE_OPS; pass the updates of Keras layers, which are not
        there: `[update for layer in model.layers for update in layer.updates]`.

    Returns:
      What changed, per layer.

    Raises:
      UsageError: There are no update ops, no moving statistics, or no batch; update ops lie inside
        a condition; or layers renormalise, so that their weights fit the statistics as they are.
    """
    seen = _measured(session, feeds, max_batches, update_ops)
    after = seen.statistics()
    for name, one in after.items():
        _load(session, seen.pairs[name], (one.mean, one.variance))
    left = {
        name: "no update op changes it (is the training flag fed?)"
        for name in seen.pairs
        if name not in after
    }
    return Recalibration({name: seen.before[name] for name in after}, after, left, seen.batches)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What update ops made of some batches.

    Attributes:
      pairs: Moving mean and variance of each layer, by its name.
      before: Their values, which they have again.
      moments: Sums over the batches.
      decays: Weight of the old value of each mean, `[C]`; 1 where no update op changes it.
      batches: Number of batches.
    """

    pairs: dict[str, tuple[Any, Any]]
    before: dict[str, Statistics]
    moments: dict[str, Moments]
    decays: dict[str, np.ndarray]
    batches: int

    def statistics(self) -> dict[str, Statistics]:
        """Returns those over all batches, of the layers that update ops reach."""
        found = {}
        for name, moments in self.moments.items():
            if not np.all(self.decays[name] == 1):
                mean, squares = (total / self.batches for total in moments.sums[1:])
                found[name] = Statistics(mean, np.maximum(squares - mean**2, 0.0))
        return found

    def momenta(self) -> dict[str, float]:
        """Returns the weight of the old value per update, by layer."""
        return {name: float(np.mean(decay)) for name, decay in self.decays.items()}


def _measured(
    session: Any,
    feeds: Iterable[Feed],
    most: int,
    update_ops: Sequence[Any] | None,
    also: Any = None,
) -> _Seen:
    """Runs update ops on batches; the statistics are as before afterwards, whatever happens.

    Args:
      session: The session.
      feeds: One feed_dict a batch.
      most: Batches to use at most.
      update_ops: The ops, or None for those in UPDATE_OPS.
      also: Called with each feed while the statistics are as before.
    """
    ops = list(update_ops or session.graph.get_collection(v1.GraphKeys.UPDATE_OPS))
    pairs = _usable(session.graph, ops)
    variables = [variable for pair in pairs.values() for variable in pair]
    before = session.run(variables)
    moments = {name: Moments() for name in pairs}
    decays: list[np.ndarray] = []
    used = 0
    try:
        for feed in feeds:
            if used == most:
                break
            if also is not None:
                _load(session, variables, before)
                also(feed)
            from_zero = _updated(session, variables, ops, feed, 0.0)
            if not decays:
                from_one = _updated(session, variables, ops, feed, 1.0)
                decays = [one - zero for one, zero in zip(from_one, from_zero, strict=True)]
            batch = [
                zero / np.maximum(1 - m, 1e-12) for zero, m in zip(from_zero, decays, strict=True)
            ]
            for at, one in enumerate(moments.values()):
                one.add(batch[2 * at], batch[2 * at + 1], 1.0)
            used += 1
    finally:
        _load(session, variables, before)
    if not used:
        raise UsageError("there was no feed; a generator that was used up must be made anew")
    stored = [np.asarray(value, np.float64) for value in before]
    return _Seen(
        pairs,
        {name: Statistics(*stored[2 * at : 2 * at + 2]) for at, name in enumerate(pairs)},
        moments,
        {name: decays[2 * at] for at, name in enumerate(pairs)},
        used,
    )


def _usable(graph: Any, ops: Sequence[Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the statistics of each layer, or raises UsageError where none can be measured."""
    if not ops:
        raise UsageError(
            "the graph has no update ops in UPDATE_OPS; pass update_ops= those of your layers"
        )
    pairs = _pairs(graph)
    if not pairs:
        raise UsageError("the graph has no variables moving_mean and moving_variance")
    _refuse_what_cannot_be_repaired(graph, ops)
    return pairs


def _refuse_what_cannot_be_repaired(graph: Any, ops: Sequence[Any]) -> None:
    """Raises UsageError for update ops that nobody can run alone, and for batch renormalisation."""
    inside = next((op for op in ops if not graph.is_fetchable(op) or op.graph is not graph), None)
    if inside is not None:
        raise UsageError(
            f"the update op {inside.name} lies inside a tf.cond and cannot be run by itself; build "
            "the layer outside of it with training=is_training, which may be a tensor"
        )
    names = (variable.op.name for variable in graph.get_collection(v1.GraphKeys.GLOBAL_VARIABLES))
    if name := next((name for name in names if name.endswith("/renorm_mean")), ""):
        raise UsageError(RENORM.format(name=name.removesuffix("/renorm_mean")))


def _updated(
    session: Any,
    variables: Sequence[Any],
    ops: Sequence[Any],
    feed: Mapping[Any, Any],
    start: float,
) -> list[np.ndarray]:
    """Returns what update ops make of variables that were all set to one value."""
    _load(session, variables, [np.full(v.shape.as_list(), start) for v in variables])
    session.run(ops, feed_dict=feed)
    return [np.asarray(value, np.float64) for value in session.run(variables)]


def _load(session: Any, variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.load(np.asarray(value, variable.dtype.base_dtype.as_numpy_dtype), session)


def _pairs(graph: Any) -> dict[str, tuple[Any, Any]]:
    """Returns the moving mean and variance of each layer by its name."""
    found: dict[str, dict[Role, Any]] = {}
    for variable in graph.get_collection(v1.GraphKeys.GLOBAL_VARIABLES):
        parsed: ParsedTag | None = parse_tag(variable.op.name)
        if parsed is not None and parsed.role in STATISTICS:
            found.setdefault(parsed.layer, {})[parsed.role] = variable
    return {
        name: (roles[Role.MOVING_MEAN], roles[Role.MOVING_VARIANCE])
        for name, roles in found.items()
        if len(roles) == len(STATISTICS)
    }
