"""TensorFlow 1 sessions: a hook that logs and judges; check and repair are `repair.tf1`'s."""

from typing import Any

import numpy as np
import tensorflow as tf

from bn_tb.monitor.history import Snapshot
from bn_tb.monitor.judge import Judge, OnFinding
from bn_tb.repair.tf1 import check, recalibrate
from bn_tb.runs.tags import STATISTICS, Role, parse_tag

__all__ = ["BatchNormHook", "check", "recalibrate"]

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
