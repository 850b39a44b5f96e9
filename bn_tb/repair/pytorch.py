"""PyTorch: what batch-norm layers see, and their buffers. Imported for torch models only."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from bn_tb.errors import UsageError
from bn_tb.repair.model import Forward, Passes, inputs_of
from bn_tb.repair.moments import Moments, Statistics
from bn_tb.repair.outputs import Outputs

_ONE_VALUE = "more than 1 value per channel"
"""What torch/nn/functional.py says of a batch that cannot be normalised (`_verify_batch_size`)."""


def layers_of(model: torch.nn.Module) -> dict[str, _BatchNorm]:
    """Returns the batch-norm layers that hold statistics, by name, without DDP's prefix.

    Those whose `track_running_stats` was set to False later hold some, and evaluate with them.
    """
    return {
        plain_name(name): module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


def measure(
    model: torch.nn.Module,
    batches: Iterable[Any],
    most: int,
    forward: Forward | None = None,
    frozen: bool | None = False,
) -> Passes:
    """Runs batches in both modes; see `repair.model.Adapter`.

    Args:
      model: The model.
      batches: Tensors, arrays, (inputs, labels) or what `forward` takes.
      most: Batches to run at most.
      forward: Calls the model on a batch; by default on its first element.
      frozen: Whether frozen layers are measured too, as if they were not; None: if there are no
        others.
    """
    call = forward or _call
    if isinstance(model, torch.nn.parallel.DistributedDataParallel):
        model = model.module  # each forward of the wrapper waits for all processes
    moments: dict[str, Moments] = {}
    outputs, ran = Outputs(), 0
    with _left_as_it_was(model), torch.no_grad():
        model.eval()
        for batch in batches:
            if ran == most:
                break
            plain = _outputs(call(model, batch))  # also initialises lazy layers
            layers = layers_of(model)
            held = _held(layers, frozen)
            try:
                with _seen(layers, held, moments):
                    trained = _outputs(call(model, batch))
            except ValueError as error:
                if _ONE_VALUE not in str(error):
                    raise
                continue  # a last batch of one example has no variance
            ran += 1
            outputs.add(plain, trained, batch)
        layers = layers_of(model)
        stored = {name: _stored(layer) for name, layer in layers.items() if _ready(layer)}
    measured = {name: layers[name] for name in stored if name not in _held(layers, frozen)}
    ran = _over_processes(measured, moments, outputs, ran)
    found = {name: each for name, one in moments.items() if (each := one.statistics())}
    return Passes(
        stored=stored,
        seen=found,
        momenta={name: 1 - layer.momentum for name, layer in layers.items() if layer.momentum},
        frozen=_frozen(layers),
        outputs=outputs,
        batches=ran,
    )


def write(model: torch.nn.Module, statistics: dict[str, Statistics]) -> None:
    """Writes statistics into buffers, in place and in their dtype."""
    layers = layers_of(model)
    with torch.no_grad():
        for name, one in statistics.items():
            buffers = layers[name].running_mean, layers[name].running_var
            for buffer, values in zip(buffers, (one.mean, one.variance), strict=True):
                assert buffer is not None
                buffer.copy_(torch.from_numpy(values).to(buffer))


def plain_name(name: str) -> str:
    """Returns the name of a module or parameter without what DDP and torch.compile put before."""
    return name.removeprefix("module.").replace("_orig_mod.", "")


def _ready(layer: _BatchNorm) -> bool:
    buffers = layer.running_mean, layer.running_var
    return all(b is not None and not torch.nn.parameter.is_lazy(b) for b in buffers)


def _stored(layer: _BatchNorm) -> Statistics:
    assert layer.running_mean is not None and layer.running_var is not None
    return Statistics(values_of(layer.running_mean), values_of(layer.running_var))


def values_of(tensor: torch.Tensor) -> np.ndarray:
    """Returns a copy of a tensor on any device, float64, in its shape."""
    values: np.ndarray = tensor.detach().double().cpu().numpy().copy()
    return values


def _frozen(layers: dict[str, _BatchNorm]) -> frozenset[str]:
    """Returns layers whose gamma and beta nobody trains, in a model that trains something."""
    return frozenset(
        name
        for name, layer in layers.items()
        if layer.affine and not any(parameter.requires_grad for parameter in layer.parameters())
    )


def _held(layers: dict[str, _BatchNorm], frozen: bool | None) -> frozenset[str]:
    """Returns the layers that are not measured; see `measure`."""
    held = _frozen(layers)
    return frozenset() if frozen or (frozen is None and len(held) == len(layers)) else held


@contextlib.contextmanager
def _seen(
    layers: dict[str, _BatchNorm], held: frozenset[str], moments: dict[str, Moments]
) -> Iterator[None]:
    """Has all layers but some normalise with their batches, and takes these; nothing is updated."""
    handles = []
    for name, layer in layers.items():
        if name in held:
            continue
        into = moments.setdefault(name, Moments())
        layer.train()
        layer.momentum = 0.0  # the old value keeps all weight
        handles.append(layer.register_forward_pre_hook(_Taker(into)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for layer in layers.values():
            layer.eval()


class _Taker:
    """A forward hook that takes the moments of a layer's input."""

    def __init__(self, into: Moments) -> None:
        self._into = into

    def __call__(self, layer: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        values = arguments[0].detach()
        axes = [axis for axis in range(values.dim()) if axis != 1]
        values = values.double() if values.device.type != "mps" else values.float()
        mean = values.mean(axes)
        variance = values.var(axes, unbiased=False)
        each = values.numel() / max(values.shape[1], 1)
        self._into.add(values_of(mean), values_of(variance), each)


@contextlib.contextmanager
def _left_as_it_was(model: torch.nn.Module) -> Iterator[None]:
    """Puts modes, momenta, buffers and random states back, bit for bit."""
    modes = {module: module.training for module in model.modules()}
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    momenta = [(layer, layer.momentum) for layer in layers]
    buffers = [
        (buffer, buffer.detach().clone())
        for buffer in model.buffers()
        if not torch.nn.parameter.is_lazy(buffer)
    ]
    cpu, numpy_state = torch.random.get_rng_state(), np.random.get_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for layer, momentum in momenta:
            layer.momentum = momentum
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        torch.random.set_rng_state(cpu)
        np.random.set_state(numpy_state)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


def _call(model: torch.nn.Module, batch: Any) -> Any:
    inputs = inputs_of(batch)
    tensor = next((t for t in (*model.parameters(), *model.buffers()) if t.numel()), None)
    if isinstance(inputs, np.ndarray):
        inputs = torch.from_numpy(inputs)
    if isinstance(inputs, torch.Tensor) and tensor is not None:
        inputs = inputs.to(tensor.device)
        if inputs.is_floating_point() and tensor.is_floating_point():
            inputs = inputs.to(tensor.dtype)
    if isinstance(inputs, dict):
        return model(**inputs)
    if not isinstance(inputs, torch.Tensor):
        raise UsageError(
            f"a batch begins with a {type(inputs).__name__}; want a tensor, an array or a dict of "
            "arguments, or pass forward=lambda model, batch: ..."
        )
    return model(inputs)


def _outputs(output: Any) -> list[np.ndarray]:
    """Returns the floating tensors of an output, which may be nested."""
    if isinstance(output, torch.Tensor):
        return [values_of(output)] if output.is_floating_point() else []
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        return [array for one in output for array in _outputs(one)]
    return []


def _over_processes(
    layers: dict[str, _BatchNorm], moments: dict[str, Moments], outputs: Outputs, ran: int
) -> int:
    """Adds what the other processes of a group that is up saw; returns the batches of all.

    One call carries everything, in the order of the model's layers, so that a process that had no
    batch keeps no other waiting, and all come to the same decision.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()) or not layers:
        return ran
    parts: list[Any] = [outputs.sums, [ran]]
    for name, layer in layers.items():
        values, *sums = moments.setdefault(name, Moments()).sums
        parts += [[values], *(each if values else np.zeros(layer.num_features) for each in sums)]
    device = next(iter(layers.values())).running_mean.device
    packed = torch.from_numpy(np.concatenate(parts)).to(device)  # NCCL takes tensors of GPUs only
    distributed.all_reduce(packed)
    summed = np.split(packed.cpu().numpy(), np.cumsum([len(part) for part in parts])[:-1])
    outputs.sums = summed[0]
    for at, name in enumerate(layers):
        count, total, squares = summed[2 + 3 * at : 5 + 3 * at]
        moments[name].set_sums(float(count[0]), total, squares)
    return int(summed[1][0])
