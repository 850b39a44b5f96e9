"""TensorFlow 1 sessions: a hook that logs and judges, and a repair of the statistics."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bn_tb.errors import UsageError
from bn_tb.monitor.history import Snapshot
from bn_tb.monitor.judge import Judge, OnFinding
from bn_tb.repair.moments import Moments, Statistics
from bn_tb.repair.recalibrate import MAX_BATCHES, Recalibration
from bn_tb.runs.tags import STATISTICS, ParsedTag, Role, parse_tag

v1 = tf.compat.v1


class BatchNormHook(v1.train.SessionRunHook):  # type: ignore[misc, name-defined]
    """`MonitoredTrainingSession(hooks=[BatchNormHook("logs/run", every=100)])`."""

    def __init__(
        self,
        logdir: Any = None,
        every: int = 100,
        *,
        on_finding: OnFinding | None = None,
        stop: bool = False,
    ) -> None:
        """Prepares the hook.

        Args:
          logdir: A folder of the run, or None to write nothing.
          every: Runs of the session that move the global step, between two looks.
          on_finding: Called with each new finding.
          stop: Whether a finding of severity error ends the training (`request_stop`).
        """
        self._judge = Judge(logdir, on_finding)
        self._every, self._stop, self._step, self._looked = every, stop, 0, -1
        self._variables: list[Any] = []
        self._global_step: Any = None

    def begin(self) -> None:
        """Finds the variables; the graph is complete and not yet final."""
        self._global_step = v1.train.get_global_step()
        self._variables = [
            variable
            for variable in v1.global_variables()
            if (parsed := parse_tag(variable.op.name)) and parsed.role in _LOGGED
        ]

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Looks for the first time."""
        self._take(session)

    def before_run(self, run_context: Any) -> Any:
        """Asks for the global step beside what is run."""
        if self._global_step is None:
            return None
        return v1.train.SessionRunArgs(self._global_step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Looks when enough steps were made."""
        self._step = self._step + 1 if run_values.results is None else int(run_values.results)
        if self._step // self._every == self._looked // self._every:
            return
        if self._take(run_context.session) and self._stop:
            run_context.request_stop()

    def end(self, session: Any) -> None:
        """Looks a last time."""
        self._take(session, final=True)
        self._judge.close()

    def _take(self, session: Any, final: bool = False) -> bool:
        self._looked = self._step

        def look() -> Snapshot:
            values = session.run(self._variables)
            named = zip(self._variables, values, strict=True)
            histograms = {
                variable.op.name: np.asarray(value, np.float64).reshape(-1)
                for variable, value in named
            }
            return Snapshot(self._step, histograms, {"optimizer_steps": float(self._step)})

        return self._judge.take(look, final)


_LOGGED = (*STATISTICS, Role.GAMMA, Role.BETA)


def recalibrate(
    session: Any,
    feeds: Iterable[Mapping[Any, Any]],
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
    ops = list(update_ops or session.graph.get_collection(v1.GraphKeys.UPDATE_OPS))
    if not ops:
        raise UsageError(
            "the graph has no update ops in UPDATE_OPS; pass update_ops= those of your layers"
        )
    pairs = _pairs(session.graph)
    if not pairs:
        raise UsageError("the graph has no variables moving_mean and moving_variance")
    _refuse_what_cannot_be_repaired(session.graph, ops)
    variables = [variable for pair in pairs.values() for variable in pair]
    before = session.run(variables)
    decays: list[np.ndarray] | None = None
    moments = {name: Moments() for name in pairs}
    used = 0
    for feed in feeds:
        if used == max_batches:
            break
        from_zero = _updated(session, variables, ops, feed, 0.0)
        if decays is None:
            from_one = _updated(session, variables, ops, feed, 1.0)
            decays = [one - zero for one, zero in zip(from_one, from_zero, strict=True)]
        batch = [zero / np.maximum(1 - m, 1e-12) for zero, m in zip(from_zero, decays, strict=True)]
        for at, name in enumerate(pairs):
            moments[name].add(batch[2 * at], batch[2 * at + 1], 1.0)
        used += 1
    if decays is None:
        _load(session, variables, before)
        raise UsageError("there was no feed; a generator that was used up must be made anew")
    return _written(session, pairs, before, decays, moments, used)


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
        raise UsageError(
            f"{name.removesuffix('/renorm_mean')} renormalises: training, too, used the moving "
            "statistics, and the weights fit them as they are"
        )


def _written(
    session: Any,
    pairs: Mapping[str, tuple[Any, Any]],
    before: Sequence[np.ndarray],
    decays: Sequence[np.ndarray],
    moments: Mapping[str, Moments],
    used: int,
) -> Recalibration:
    """Writes new statistics; layers that no update op reached get their old ones back."""
    old = {
        name: Statistics(*(np.asarray(value, np.float64) for value in before[2 * at : 2 * at + 2]))
        for at, name in enumerate(pairs)
    }
    after, left = {}, {}
    for at, name in enumerate(pairs):
        mean, squares = moments[name].sums[1] / used, moments[name].sums[2] / used
        if np.all(decays[2 * at] == 1):
            left[name] = "no update op changes it (is the training flag fed?)"
        else:
            after[name] = Statistics(mean, np.maximum(squares - mean**2, 0.0))
    now = [value for name in pairs for value in _values(after.get(name, old[name]))]
    _load(session, [variable for pair in pairs.values() for variable in pair], now)
    return Recalibration({name: old[name] for name in after}, after, left, used)


def _values(statistics: Statistics) -> tuple[np.ndarray, np.ndarray]:
    return statistics.mean, statistics.variance


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
