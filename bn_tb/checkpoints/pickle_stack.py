"""The stack and the memo of a pickle, and what its objects become.

No name in a pickle is ever looked up: a class or function is a `Global`, and what calling it would
give is what `build` of the caller makes of it, or an `Inert` object.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from bn_tb.checkpoints.contents import CheckpointError


class CutOffError(CheckpointError):
    """The pickle goes on after the last byte that was given."""


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of a class or a function."""

    module: str
    name: str

    def __str__(self) -> str:
        return self.full

    @functools.cached_property
    def full(self) -> str:
        """Its name with that of its module."""
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(eq=False, repr=False)
class Inert:
    """What stands for an object of a class: what it would have been made from.

    Attributes:
      kind: Its class, or the function that would return it.
      args: Arguments of that call.
      state: What `__setstate__` would get.
      items: Entries, of a dictionary.
      elements: Elements, of a list or set.
    """

    kind: object
    args: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = dataclasses.field(default_factory=dict)
    elements: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)  # what nests may repeat itself
class _Key:
    """A key of a dictionary that is no plain value; equal to nothing else."""

    value: object


class WrittenInt(int):
    """A number that knows where in its pickle it is written, and whether it is a key."""

    at = 0
    is_key = False


class WrittenFloat(float):
    """The same for one with a fraction."""

    at = 0
    is_key = False


Written = WrittenInt | WrittenFloat

Build = Callable[[Global, tuple[Any, ...]], Any]
"""Returns what a call of a global stands for, `NotImplemented` if it knows no better."""
Persistent = Callable[[Any], Any]
"""Returns what an identifier outside of the pickle stands for."""

_PLAIN = (str, bytes, int, float, bool, type(None))


class Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, build: Build, persistent: Persistent) -> None:
        self.build, self.persistent = build, persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # what was on the stack below each mark
        self.memo: dict[int, Any] = {}

    def since_mark(self) -> list[Any]:
        """Returns what is on the stack above the last mark, and takes it off."""
        found = self.stack
        self.stack = self.marked.pop()
        return found

    def made(self, kind: Any, args: Any) -> Any:
        """Returns what calling `kind` stands for."""
        args = tuple(args) if isinstance(args, list | tuple) else ()
        if not isinstance(kind, Global):
            return Inert(kind, args)
        maker = _MAKERS.get(kind.full)
        found = self.build(kind, args) if maker is None else maker(args)
        return Inert(kind, args) if found is NotImplemented else found


def _mapping(args: tuple[Any, ...]) -> dict[Any, Any]:
    """Returns a dictionary from the pairs that Python 2 gave its constructor."""
    pairs = args[0] if args and isinstance(args[0], list | tuple) else ()
    if args and isinstance(args[0], dict):
        return dict(args[0])
    return {key_of(pair[0]): pair[1] for pair in pairs if len(pair) == 2}


def key_of(value: Any) -> Any:
    """Returns what stands for a key: plain values, tuples of them, else a key like no other."""
    if type(value) is str:
        return value
    parts = value if type(value) is tuple else (value,)
    for part in parts:
        if isinstance(part, Written):
            part.is_key = True
    return value if all(isinstance(part, _PLAIN) for part in parts) else _Key(value)


def _empty(args: tuple[Any, ...]) -> Any:
    return {}


def _sequence(args: tuple[Any, ...]) -> Any:
    return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def _encoded(args: tuple[Any, ...]) -> Any:
    text = args[0] if args else None
    return text.encode("latin-1", "replace") if isinstance(text, str) else NotImplemented


_SEQUENCES = ("list", "tuple", "set", "frozenset")
_MAKERS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _empty,
    "_codecs.encode": _encoded,
    "torch.Size": _sequence,
    **{f"{module}.dict": _mapping for module in ("builtins", "__builtin__")},
    **{f"{m}.{name}": _sequence for m in ("builtins", "__builtin__") for name in _SEQUENCES},
}
"""What calls of plain containers stand for, by full name."""
