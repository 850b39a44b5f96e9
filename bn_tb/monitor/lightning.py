"""Lightning, also as pytorch_lightning: `Trainer(callbacks=[BatchNormMonitor(every=100)])`."""

import importlib
import sys
from typing import Any

from bn_tb.monitor import pytorch
from bn_tb.monitor.judge import OnFinding
from bn_tb.monitor.warning import BatchNormError


def _callback() -> type:
    """Returns the Callback of the Lightning that is in use: the one that was imported."""
    names = ("lightning.pytorch", "pytorch_lightning")
    found = next((name for name in names if name in sys.modules), None)
    if found is None:
        for name in names:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                continue
            found = name
            break
    if found is None:
        return object
    callback: type = sys.modules[found].Callback
    return callback


class BatchNormMonitor(_callback()):  # type: ignore[misc]
    """A callback that logs into the trainer's run folder and judges while the trainer fits."""

    def __init__(
        self,
        logdir: Any = None,
        every: int = 100,
        *,
        on_finding: OnFinding | None = None,
        stop: bool = False,
        every_rank: bool = False,
    ) -> None:
        """Prepares the callback; for the arguments see `monitor.pytorch.BatchNormMonitor`.

        Args:
          logdir: A folder; by default the trainer's `log_dir`.
          every: Optimizer steps between two looks.
          on_finding: Called with each new finding.
          stop: Whether a finding of severity error ends the training (`trainer.should_stop`).
          every_rank: Whether all processes write.
        """
        super().__init__()
        self._logdir, self._stop = logdir, stop
        self._options: dict[str, Any] = {
            "every": every,
            "on_finding": on_finding,
            "every_rank": every_rank,
        }
        self._monitor: pytorch.BatchNormMonitor | None = None
        self._seen = 0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Begins to count."""
        place = self._logdir or getattr(trainer, "log_dir", None)
        self._monitor = pytorch.BatchNormMonitor(
            module, None, place, stop=self._stop, **self._options
        )
        self._seen = trainer.global_step

    def on_train_batch_end(self, trainer: Any, module: Any, *arguments: Any) -> None:
        """Counts the optimizer steps that were made since the last batch."""
        if self._monitor is None:
            return
        try:
            for _ in range(trainer.global_step - self._seen):
                self._monitor.step()
        except BatchNormError:
            trainer.should_stop = True
        self._seen = trainer.global_step

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Looks a last time and removes the hooks."""
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        """Does the same when a training ends with an exception."""
        self.on_train_end(trainer, module)
