"""Keras 3 and tf_keras: `model.fit(callbacks=[BatchNormMonitor("logs/run", every=100)])`."""

from typing import Any

import numpy as np

from bn_tb.diagnosis import RunDiagnosis
from bn_tb.monitor.history import Snapshot
from bn_tb.monitor.judge import Judge, OnFinding
from bn_tb.repair.keras import layers_of, values_of

_HOOKS = (
    *("on_epoch_end", "on_train_batch_begin", "on_batch_begin", "on_batch_end"),
    *("on_test_end", "on_test_batch_begin"),
    *("on_predict_begin", "on_predict_end", "on_predict_batch_begin", "on_predict_batch_end"),
)
"""Methods of a Keras callback that have nothing to do here."""


class BatchNormMonitor:
    """A callback that logs and judges the batch norm of the model that is fitted.

    It has the methods of a callback of Keras 3 and of tf_keras and derives from neither, so that
    one class serves both and neither is imported. Every `every` optimizer steps, and at the end, it
    writes each layer's statistics (under tf.distribute those of each replica, too), gamma, beta and
    momentum, and how many batches were trained on and evaluated. Between two looks it only counts
    in Python: nothing waits for a device.
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
        self._training, self._evaluation, self._looked = _Batches(), _Batches(), 0
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
            self._judge = Judge(self._logdir, self._on_finding)
        self._judge.take(self._look)
        self._looked = self._training.all

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Batches count from 0 in each epoch."""
        self._training.begin()

    def on_test_begin(self, logs: Any = None) -> None:
        """Batches count from 0 in each evaluation."""
        self._evaluation.begin()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks when enough steps were made; one call may stand for several batches."""
        self._training.until(batch)
        steps = (self._training.all - self._looked) // self._batches_of_a_step()
        if self._judge is None or steps < self._every:
            return
        self._looked = self._training.all
        if self._judge.take(self._look) and self._stop:
            self._model.stop_training = True

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts."""
        self._evaluation.until(batch)

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
        return True

    def _implements_predict_batch_hooks(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name in _HOOKS:
            return _nothing
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _batches_of_a_step(self) -> int:
        return getattr(self._model.optimizer, "gradient_accumulation_steps", None) or 1

    def _look(self) -> Snapshot:
        histograms, scalars = {}, {}
        for name, layer in layers_of(self._model).items():
            for key in ("moving_mean", "moving_variance", "gamma", "beta"):
                values = getattr(layer, key, None)
                if values is not None:
                    histograms[f"{name}/{key}"] = values_of(values).reshape(-1)
            for key in ("moving_mean", "moving_variance"):
                for at, values in enumerate(_replicas(getattr(layer, key))):
                    histograms[f"{name}/{key}/replica_{at}"] = values.reshape(-1)
            scalars[f"{name}/statistics_momentum"] = float(layer.momentum)
        steps = int(values_of(self._model.optimizer.iterations))
        scalars["optimizer_steps"] = float(steps)
        scalars["training_batches"] = float(self._training.all)
        scalars["evaluation_batches"] = float(self._evaluation.all)
        return Snapshot(steps, histograms, scalars)


class _Batches:
    """Counts batches by the number of the last one in its epoch."""

    def __init__(self) -> None:
        self.all, self._last = 0, -1

    def begin(self) -> None:
        self._last = -1

    def until(self, batch: int) -> None:
        self.all, self._last = self.all + batch - self._last, batch


def _replicas(variable: Any) -> list[np.ndarray]:
    """Returns what each replica of tf.distribute holds; nothing outside of it.

    A variable that is shared shows one replica (Keras 3) or the mean (tf_keras). Only components
    are read, which needs no other process.
    """
    parts = getattr(getattr(variable, "_value", variable), "values", None)
    return [values_of(part) for part in parts] if isinstance(parts, tuple) else []


def _nothing(*_: Any, **__: Any) -> None:
    pass
