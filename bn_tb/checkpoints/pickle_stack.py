"""The stack, the memo and the position of a pickle, and what its objects become.

No name in a pickle is ever looked up: a class or function is a `Global`, and what calling it would
give is what `build` of the caller makes of it, or an `Inert` object.
"""

import dataclasses
import struct
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


Build = Callable[[Global, tuple[Any, ...]], Any]
"""Returns what a call of a global stands for, `NotImplemented` if it knows no better."""
Persistent = Callable[[Any], Any]
"""Returns what an identifier outside of the pickle stands for."""

_PLAIN = (str, bytes, int, float, bool, type(None))
_MAPPINGS = frozenset(["collections.OrderedDict", "builtins.dict", "__builtin__.dict"])
_SEQUENCES = frozenset(
    (
        *("builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset", "torch.Size"),
        *("__builtin__.list", "__builtin__.tuple", "__builtin__.set", "__builtin__.frozenset"),
    )
)


class Machine:
    """The stack, the memo and the position of one pickle."""

    def __init__(self, data: bytes, at: int, build: Build, persistent: Persistent) -> None:
        self.data, self.at = data, at
        self.build, self.persistent = build, persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # what was on the stack below each mark
        self.memo: dict[int, Any] = {}

    def take(self, length: int) -> bytes:
        """Returns the next bytes."""
        end = self.at + length
        if length < 0:
            raise ValueError
        if end > len(self.data):
            raise EOFError
        found = self.data[self.at : end]
        self.at = end
        return found

    def line(self) -> str:
        """Returns the text up to the next end of line."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise EOFError
        found = self.data[self.at : end]
        self.at = end + 1
        return found.decode("utf-8", "replace")

    def octet(self) -> int:
        """Returns the next byte."""
        at = self.at
        self.at = at + 1
        if at >= len(self.data):
            raise EOFError
        return self.data[at]

    def number(self, code: str, size: int) -> int:
        """Returns the next number, in the code of `struct`."""
        found: int = struct.unpack_from(code, self.data, self.at)[0]
        self.at += size
        return found

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
        name = str(kind)
        if name in _MAPPINGS:
            return _mapping(args)
        if name == "collections.defaultdict":
            return {}
        if name in _SEQUENCES:
            return list(args[0]) if args and isinstance(args[0], list | tuple) else []
        if name == "_codecs.encode" and args and isinstance(args[0], str):
            return args[0].encode("latin-1", "replace")
        found = self.build(kind, args)
        return Inert(kind, args) if found is NotImplemented else found


def _mapping(args: tuple[Any, ...]) -> dict[Any, Any]:
    """Returns a dictionary from the pairs that Python 2 gave its constructor."""
    pairs = args[0] if args and isinstance(args[0], list | tuple) else ()
    if args and isinstance(args[0], dict):
        return dict(args[0])
    return {key_of(pair[0]): pair[1] for pair in pairs if len(pair) == 2}


def key_of(value: Any) -> Any:
    """Returns what stands for a key: plain values, tuples of them, else a key like no other."""
    if type(value) in _PLAIN:
        return value
    if type(value) is tuple and all(type(part) in _PLAIN for part in value):
        return value
    return _Key(value)
