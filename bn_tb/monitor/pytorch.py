"""PyTorch: `BatchNormMonitor(model, optimizer, "logs/run", every=100)`."""

import contextlib
import os
from collections.abc import Iterable
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from bn_tb.diagnosis import RunDiagnosis
from bn_tb.monitor.history import Snapshot
from bn_tb.monitor.judge import Judge, OnFinding
from bn_tb.monitor.passes import Passes
from bn_tb.monitor.warning import BatchNormError
from bn_tb.repair.pytorch import layers_of, plain_name, values_of
from bn_tb.runs.series import FloatArray

SAMPLE = 1024
"""Elements of a weight that are logged; any of them shows whether it is trained."""


class BatchNormMonitor:
    """Logs and judges the batch norm of a model while it is trained; a context manager.

    Every `every` optimizer steps and when it is closed, it writes each layer's statistics, gamma,
    beta, momentum, counters of updates and passes, and the start of the last weight outside them
    that is trained. Between two looks it only counts in Python:
    nothing waits for a device. Model, optimizer, gradients and random states are never changed.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer | Iterable[torch.optim.Optimizer] | None,
        logdir: Any = None,
        every: int = 100,
        *,
        on_finding: OnFinding | None = None,
        stop: bool = False,
        every_rank: bool = False,
    ) -> None:
        """Begins to count.

        Args:
          model: The model, also inside DistributedDataParallel or torch.compile.
          optimizer: The optimizer or optimizers; each call of `step` of the first one counts. None
            if `step()` of the monitor is called instead.
          logdir: A folder of the run, a SummaryWriter, or None to write nothing.
          every: Optimizer steps between two looks.
          on_finding: Called with each new finding.
          stop: Whether a finding of severity error raises BatchNormError in the training loop.
          every_rank: Whether all processes of a group write, into folders `rank_0` ...; else only
            the first one does.
        """
        self._model, self._layers = model, layers_of(model)
        self._every, self._stop, self.steps = every, stop, 0
        self._passes = {name: Passes() for name in self._layers}
        self._handles: list[Any] = []
        rank, ranks = _rank()
        if ranks > 1 and every_rank and isinstance(logdir, (str, os.PathLike)):
            logdir = os.path.join(os.fspath(logdir), f"rank_{rank}")
        silent = rank > 0 and not every_rank
        self._judge = Judge(logdir, on_finding, quiet=silent)
        # Inside a compiled model hooks would be compiled; the call of the whole of it is seen.
        whole = dict.fromkeys(self._layers, model) if hasattr(model, "_orig_mod") else self._layers
        for layer_name, called in whole.items():
            counter = _PassCounter(self._layers[layer_name], self._passes[layer_name])
            self._handles.append(called.register_forward_pre_hook(counter))
        optimizers = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else optimizer
        for one in list(optimizers or ())[:1]:
            self._handles.append(one.register_step_post_hook(self._stepped))
        self._judge.take(self._look)

    def step(self) -> None:
        """Counts an optimizer step, for loops without an optimizer of PyTorch."""
        self.steps += 1
        for passes in self._passes.values():
            passes.step()
        if self.steps % self._every == 0 and self._judge.take(self._look) and self._stop:
            raise BatchNormError("batch norm is broken; see the warnings of bn_tb")

    def diagnoses(self) -> tuple[RunDiagnosis, ...]:
        """Returns the verdicts so far."""
        return self._judge.diagnoses()

    def close(self) -> None:
        """Looks a last time, removes all hooks and closes the log."""
        if self._handles or self.steps:
            self._judge.take(self._look, final=True)
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._judge.close()

    def __enter__(self) -> "BatchNormMonitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stepped(self, *_: object) -> None:
        self.step()

    def _look(self) -> Snapshot:
        histograms, scalars = {}, {"optimizer_steps": float(self.steps)}
        for name, layer in self._layers.items():
            for key in ("running_mean", "running_var", "weight", "bias"):
                values = getattr(layer, key, None)
                if values is not None and not torch.nn.parameter.is_lazy(values):
                    histograms[f"{name}/{key}"] = values_of(values).reshape(-1)
            if layer.num_batches_tracked is not None:
                scalars[f"{name}/num_batches_tracked"] = float(layer.num_batches_tracked)
            if layer.momentum is not None:
                scalars[f"{name}/statistics_momentum"] = 1 - layer.momentum
            passes = self._passes[name]
            if passes.counted or not self.steps:
                scalars[f"{name}/training_passes"] = float(passes.for_training)
                scalars[f"{name}/evaluation_passes"] = float(passes.evaluation)
        return Snapshot(self.steps, histograms | self._trained_weight(), scalars)

    def _trained_weight(self) -> dict[str, FloatArray]:
        """Returns the start of the last weight outside batch norm that is trained, by its tag.

        It shows that the network trains, where gamma and beta are frozen.
        """
        own = {id(one) for layer in self._layers.values() for one in layer.parameters()}
        for name, one in reversed(list(self._model.named_parameters())):
            if one.requires_grad and id(one) not in own and not torch.nn.parameter.is_lazy(one):
                module, _, leaf = plain_name(name).rpartition(".")
                return {f"{module}/{leaf}": values_of(one.flatten()[:SAMPLE])}
        return {}


class _PassCounter:
    """A forward hook that counts passes by mode.

    It is no part of the model: pickled or copied with it, it becomes a function of the standard
    library that does nothing. Under torch.compile it would be traced, so there it does not count.
    """

    def __init__(self, layer: _BatchNorm, passes: Passes) -> None:
        self._layer, self._passes = layer, passes

    def __call__(self, called: torch.nn.Module, arguments: Any) -> None:
        if not torch.compiler.is_compiling():
            self._passes.add(self._layer.training, torch.is_grad_enabled())

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return getattr, (contextlib.nullcontext, "__exit__")


def _rank() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
