"""Keras 3 and tf_keras: `model.fit(callbacks=[BatchNormMonitor("logs/run", every=100)])`."""

import os
from typing import Any

import numpy as np

from bn_tb.diagnosis import RunDiagnosis
from bn_tb.monitor.event_log import log_of
from bn_tb.monitor.history import Snapshot
from bn_tb.monitor.judge import Judge, OnFinding
from bn_tb.repair.keras import layers_of

_HOOKS = (
    *("on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_batch_begin", "on_batch_end"),
    *("on_test_begin", "on_test_end", "on_test_batch_begin", "on_test_batch_end"),
    *("on_predict_begin", "on_predict_end", "on_predict_batch_begin", "on_predict_batch_end"),
)
"""Methods of a Keras callback that have nothing to do here."""


class BatchNormMonitor:
    """A callback that logs and judges the batch norm of the model that is fitted.

    It has the methods of a callback of Keras 3 and of tf_keras and derives from neither, so that
    one class serves both and neither is imported. Every `every` optimizer steps, and at the end, it
    writes each layer's statistics, gamma, beta and momentum.
    """

    _supports_tf_logs = False  # tf_keras asks; logs are not used here

    def __init__(
        self,
        logdir: Any = None,
        every: int = 100,
        *,
        on_finding: OnFinding | None = None,
        stop: bool = False,
    ) -> None:
        """Prepares the callback.

        Args:
          logdir: A folder of the run, or None to write nothing.
          every: Optimizer steps between two looks.
          on_finding: Called with each new finding.
          stop: Whether a finding of severity error ends the training (`model.stop_training`).
        """
        self._logdir, self._every, self._stop = logdir, every, stop
        self._on_finding = on_finding
        self._judge: Judge | None = None
        self._model: Any = None
        self._looked = 0
        self.params: dict[str, Any] = {}

    @property
    def model(self) -> Any:
        """The model that is fitted."""
        return self._model

    def set_model(self, model: Any) -> None:
        """Takes the model; called by fit."""
        self._model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes fit's parameters; called by fit."""
        self.params = params

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the log and looks for the first time."""
        if self._judge is None:
            log = None if self._logdir is None else log_of(self._logdir)
            named = isinstance(self._logdir, (str, os.PathLike))
            name = os.fspath(self._logdir) if named else "live"
            self._judge = Judge(name, log, self._on_finding)
        self._judge.take(self._look)
        self._looked = self._steps()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks when enough steps were made; one call may stand for several steps."""
        steps = self._steps()
        if self._judge is None or steps // self._every == self._looked // self._every:
            return
        self._looked = steps
        if self._judge.take(self._look) and self._stop:
            self._model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Looks a last time."""
        if self._judge is not None:
            self._judge.take(self._look, final=True)
            self._judge.close()
            self._judge = None

    def diagnoses(self) -> tuple[RunDiagnosis, ...]:
        """Returns the verdicts so far, while fit runs."""
        return self._judge.diagnoses() if self._judge is not None else ()

    def _implements_train_batch_hooks(self) -> bool:  # tf_keras asks these three
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name in _HOOKS:
            return _nothing
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _steps(self) -> int:
        return int(_numpy(self._model.optimizer.iterations)[0])

    def _look(self) -> Snapshot:
        histograms, scalars = {}, {}
        for name, layer in layers_of(self._model).items():
            for key in ("moving_mean", "moving_variance", "gamma", "beta"):
                values = getattr(layer, key, None)
                if values is not None:
                    histograms[f"{name}/{key}"] = _numpy(values)
            scalars[f"{name}/statistics_momentum"] = float(layer.momentum)
        steps = self._steps()
        return Snapshot(steps, histograms, scalars | {"optimizer_steps": float(steps)})


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _numpy(value: Any) -> np.ndarray:
    value = getattr(value, "value", value)
    value = value() if callable(value) else value
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.array(value, np.float64).reshape(-1)
