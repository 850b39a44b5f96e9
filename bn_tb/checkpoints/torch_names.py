"""Tensors, numbers and optimizers in what a PyTorch file holds, however deep they lie."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from bn_tb.checkpoints.contents import MOST_TENSORS, CheckpointError
from bn_tb.checkpoints.pickle_stack import Inert
from bn_tb.checkpoints.torch_values import Tensor

_DEEPEST = 60  # containers inside one another; modules have some ten levels, each three containers
_MOST_NODES = 2_000_000
_LONGEST_NAME = 500  # characters; a key that is shared could be long and many times there
_MODULE = ("_parameters", "_buffers", "_modules")
_WRAPPERS = frozenset(
    (
        *("state_dict", "model_state_dict", "model_state", "model", "model_dict", "net", "network"),
        *("net_state_dict", "network_state_dict", "state", "weights", "params", "module"),
    )
)
"""Keys that say of what they hold only that it is the model."""
_PREFIXES = ("module.", "_orig_mod.")  # DistributedDataParallel, torch.compile


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """State of an optimizer: a mapping with `state` and `param_groups`.

    Attributes:
      steps: What each parameter with state was updated, tensors or numbers.
      parameters: Number of parameters that it has.
      with_state: Number of those that have any state: that ever got a gradient.
    """

    steps: tuple[Any, ...]
    parameters: int
    with_state: int


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
      tensors: By name.
      numbers: Numbers at the top, by name.
      optimizers: In the order found.
    """

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, float]
    optimizers: tuple[Optimizer, ...]


def find(value: Any) -> Found:
    """Returns tensors by the names people know, numbers and optimizers.

    Raises:
      CheckpointError: There are more than `MOST_TENSORS`.
    """
    walk = _Walk()
    pairs = list(walk.tensors(value, (), 0))
    outside = {path[:-1] for path, _ in pairs}
    short = {_shown(path): tensor for path, tensor in pairs}
    if len(short) < len(pairs) and len(outside) > 1:  # two models: their containers tell them apart
        short = {".".join(path)[-_LONGEST_NAME:]: tensor for path, tensor in pairs}
    return Found(short, dict(_numbers(value)), tuple(walk.optimizers))


def _shown(path: tuple[str, ...]) -> str:
    *containers, name = path
    while containers and containers[0] in _WRAPPERS:
        del containers[0]
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return ".".join([*containers, name])[-_LONGEST_NAME:]


class _Walk:
    """Goes through nested containers; each one counts once, where it is first met."""

    def __init__(self) -> None:
        self.optimizers: list[Optimizer] = []
        self._seen: set[int] = set()
        self._nodes = 0

    def tensors(
        self, value: Any, path: tuple[str, ...], depth: int
    ) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        """Yields containers' keys with the name of a tensor last, and the tensor."""
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise CheckpointError(f"more than {_MOST_NODES} objects")
        if isinstance(value, Tensor):
            yield path or ("tensor",), value
        if depth > _DEEPEST or not isinstance(value, dict | list | tuple | Inert):
            return
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, dict) and _is_optimizer(value):
            self.optimizers.append(_optimizer(value))
            return
        if isinstance(value, Inert) and _is_module(value):
            yield from self._of_module(value, path)
            return
        for key, child in _children(value):
            yield from self.tensors(child, (*path, key), depth + 1)

    def _of_module(
        self, value: Inert, path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        waiting = [("", value, 0)]
        while waiting:
            prefix, module, depth = waiting.pop()
            for name, tensor in _own_tensors(module):
                yield (*path, prefix + name), tensor
            children = module.state["_modules"]
            for key, child in reversed(list(children.items()) if _is_dict(children) else []):
                self._nodes += 1
                if self._nodes > MOST_TENSORS:
                    raise CheckpointError(f"more than {MOST_TENSORS} modules")
                if _is_module(child) and depth < _DEEPEST and id(child) not in self._seen:
                    self._seen.add(id(child))
                    inner = f"{prefix}{key}."[-_LONGEST_NAME:]
                    waiting.append((inner, child, depth + 1))


def _own_tensors(module: Inert) -> Iterator[tuple[str, Tensor]]:
    for part in ("_parameters", "_buffers"):
        entries = module.state[part]
        for name, tensor in entries.items() if _is_dict(entries) else ():
            if isinstance(tensor, Tensor):
                yield str(name)[-_LONGEST_NAME:], tensor


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Inert):
        for part in (value.items, value.state, value.elements):
            yield from _children(part)
    elif isinstance(value, dict):
        yield from ((str(key)[-_LONGEST_NAME:], child) for key, child in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(at), child) for at, child in enumerate(value))


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_module(value: Any) -> bool:
    """Returns whether an object is a pickled torch.nn.Module."""
    return (
        isinstance(value, Inert)
        and _is_dict(value.state)
        and all(name in value.state for name in _MODULE)
    )


def _is_optimizer(value: Mapping[str, Any]) -> bool:
    return _is_dict(value.get("state")) and "param_groups" in value


def _optimizer(value: Mapping[str, Any]) -> Optimizer:
    states = [state for state in value["state"].values() if _is_dict(state) and state]
    groups = value["param_groups"] if isinstance(value["param_groups"], list | tuple) else ()
    lists = [group.get("params", ()) for group in groups if _is_dict(group)]
    return Optimizer(
        steps=tuple(state["step"] for state in states if "step" in state),
        parameters=sum(len(one) for one in lists if isinstance(one, list | tuple)),
        with_state=len(states),
    )


def _numbers(value: Any) -> Iterator[tuple[str, float]]:
    for key, child in value.items() if _is_dict(value) else ():
        number = isinstance(child, int | float) and not isinstance(child, bool)
        if number and isinstance(key, str):
            yield key, child
