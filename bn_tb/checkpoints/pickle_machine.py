"""A pickle machine that executes nothing: containers and numbers are built, all else is inert.

The opcodes are those of protocols 0 to 5, as `pickletools` of Python describes them.
"""

import struct
from collections.abc import Callable
from typing import Any

from bn_tb.checkpoints.contents import CheckpointError
from bn_tb.checkpoints.pickle_stack import (
    Build,
    CutOffError,
    Global,
    Inert,
    Machine,
    Persistent,
    key_of,
)

_LONGEST_NUMBER = 1 << 10  # bytes or digits; larger ones take quadratic time
_PROTOCOL = 5


def load(data: bytes, at: int, build: Build, persistent: Persistent) -> tuple[Any, int]:
    """Returns the value of the pickle that begins at `at`, and where the pickle ends.

    Time and memory are at most proportional to its length.

    Args:
      data: The bytes.
      at: Where the pickle begins.
      build: What calls of globals stand for.
      persistent: What persistent identifiers stand for.

    Raises:
      CutOffError: It goes on after the end of `data`.
      CheckpointError: It is none.
    """
    machine = Machine(data, at, build, persistent)
    try:
        return _run(machine), machine.at
    except (struct.error, EOFError):
        raise CutOffError("a pickle that is cut off; copy the file again") from None
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"not a sound pickle at byte {machine.at}") from None


def _run(m: Machine) -> Any:
    data, size, steps = m.data, len(m.data), _STEPS
    while m.at < size:
        opcode = data[m.at]
        m.at += 1
        if opcode == _STOP:
            return m.stack.pop()
        step = steps[opcode]
        if step is None:
            raise CheckpointError(f"not a pickle: opcode {opcode} at byte {m.at - 1}")
        step(m)
    raise EOFError


# One function an opcode; the stack is the argument's.


def _push(value: Any) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(value)

    return step


def _push_new(kind: type) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(kind())

    return step


def _small_integer(m: Machine) -> None:
    m.stack.append(m.octet())


def _put_small(m: Machine) -> None:
    m.memo[m.octet()] = m.stack[-1]


def _get_small(m: Machine) -> None:
    m.stack.append(m.memo[m.octet()])


def _integer(code: str, size: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(m.number(code, size))

    return step


def _text(code: str, size: int, encoding: str) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(m.take(m.number(code, size)).decode(encoding, "replace"))

    return step


def _raw(code: str, size: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(m.take(m.number(code, size)))

    return step


def _long(code: str, size: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        data = m.take(m.number(code, size))
        if len(data) > _LONGEST_NUMBER:
            raise CheckpointError(f"a number of {len(data)} bytes")
        m.stack.append(int.from_bytes(data, "little", signed=True))

    return step


def _put(code: str, size: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.memo[m.number(code, size)] = m.stack[-1]

    return step


def _get(code: str, size: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(m.memo[m.number(code, size)])

    return step


def _skip(size: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.take(size)

    return step


def _tuple(length: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack[-length:] = [tuple(m.stack[-length:])]

    return step


def _decimal(m: Machine) -> None:
    line = m.line().rstrip("L\r")
    if len(line) > _LONGEST_NUMBER:
        raise CheckpointError(f"a number of {len(line)} digits")
    m.stack.append({"00": False, "01": True}.get(line) if len(line) == 2 else None)
    if m.stack[-1] is None:
        m.stack[-1] = int(line)


def _decimal_float(m: Machine) -> None:
    m.stack.append(float(m.line()))


def _binary_float(m: Machine) -> None:
    m.stack.append(struct.unpack_from(">d", m.data, m.at)[0])
    m.at += 8


def _quoted(m: Machine) -> None:
    m.stack.append(m.line().strip("'\"\r"))


def _line_text(m: Machine) -> None:
    m.stack.append(m.line())


def _put_line(m: Machine) -> None:
    m.memo[int(m.line()[:20])] = m.stack[-1]


def _get_line(m: Machine) -> None:
    m.stack.append(m.memo[int(m.line()[:20])])


def _memoize(m: Machine) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _mark(m: Machine) -> None:
    m.marked.append(m.stack)
    m.stack = []


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.since_mark()


def _pop_mark(m: Machine) -> None:
    m.since_mark()


def _duplicate(m: Machine) -> None:
    m.stack.append(m.stack[-1])


def _tuple_since_mark(m: Machine) -> None:
    found = tuple(m.since_mark())
    m.stack.append(found)


def _list_since_mark(m: Machine) -> None:
    found = m.since_mark()
    m.stack.append(found)


def _dict_since_mark(m: Machine) -> None:
    items = m.since_mark()
    m.stack.append({key_of(key): value for key, value in _pairs(items)})


def _pairs(items: list[Any]) -> Any:
    return zip(items[::2], items[1::2], strict=True)


def _append(m: Machine) -> None:
    value = m.stack.pop()
    _extend(m.stack[-1], [value])


def _appends(m: Machine) -> None:
    values = m.since_mark()
    _extend(m.stack[-1], values)


def _extend(target: Any, values: list[Any]) -> None:
    (target.elements if isinstance(target, Inert) else target).extend(values)


def _set_item(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _update(m.stack[-1], [key, value])


def _set_items(m: Machine) -> None:
    items = m.since_mark()
    _update(m.stack[-1], items)


def _update(target: Any, items: list[Any]) -> None:
    entries = target.items if isinstance(target, Inert) else target
    for key, value in _pairs(items):
        entries[key_of(key)] = value


def _global(m: Machine) -> None:
    module = m.line()
    m.stack.append(Global(module, m.line()))


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError
    m.stack.append(Global(module, name))


def _reduce(m: Machine) -> None:
    args = m.stack.pop()
    m.stack[-1] = m.made(m.stack[-1], args)


def _new_object_with_keywords(m: Machine) -> None:
    m.stack.pop()
    _reduce(m)


def _object(m: Machine) -> None:
    kind, *args = m.since_mark()
    m.stack.append(m.made(kind, args))


def _instance(m: Machine) -> None:
    module = m.line()
    kind = Global(module, m.line())
    args = m.since_mark()
    m.stack.append(m.made(kind, args))


def _build(m: Machine) -> None:
    state = m.stack.pop()
    if isinstance(m.stack[-1], Inert):
        m.stack[-1].state = state


def _persistent(m: Machine) -> None:
    m.stack.append(m.persistent(m.line()))


def _binary_persistent(m: Machine) -> None:
    m.stack.append(m.persistent(m.stack.pop()))


def _extension(size: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.take(size)
        m.stack.append(Global("copyreg", "extension"))

    return step


def _protocol(m: Machine) -> None:
    if m.octet() > _PROTOCOL:
        raise CheckpointError("a pickle of a protocol that nobody knows")


_STOP = ord(".")
_BY_OPCODE: dict[bytes, Callable[[Machine], None]] = {
    b"(": _mark, b"0": _pop, b"1": _pop_mark, b"2": _duplicate,
    b"F": _decimal_float, b"G": _binary_float, b"I": _decimal, b"L": _decimal,
    b"J": _integer("<i", 4), b"K": _small_integer, b"M": _integer("<H", 2),
    b"\x8a": _long("B", 1), b"\x8b": _long("<i", 4),
    b"N": _push(None), b"\x88": _push(True), b"\x89": _push(False), b")": _push(()),
    b"]": _push_new(list), b"}": _push_new(dict), b"\x8f": _push_new(list),
    b"S": _quoted, b"V": _line_text,
    b"X": _text("<I", 4, "utf-8"), b"\x8c": _text("B", 1, "utf-8"),
    b"\x8d": _text("<Q", 8, "utf-8"),
    b"T": _text("<i", 4, "latin-1"), b"U": _text("B", 1, "latin-1"),
    b"B": _raw("<I", 4), b"C": _raw("B", 1), b"\x8e": _raw("<Q", 8), b"\x96": _raw("<Q", 8),
    b"t": _tuple_since_mark, b"\x85": _tuple(1), b"\x86": _tuple(2), b"\x87": _tuple(3),
    b"l": _list_since_mark, b"d": _dict_since_mark, b"\x91": _list_since_mark,
    b"a": _append, b"e": _appends, b"s": _set_item, b"u": _set_items, b"\x90": _appends,
    b"p": _put_line, b"q": _put_small, b"r": _put("<I", 4), b"\x94": _memoize,
    b"g": _get_line, b"h": _get_small, b"j": _get("<I", 4),
    b"c": _global, b"\x93": _stack_global, b"R": _reduce, b"\x81": _reduce,
    b"\x92": _new_object_with_keywords, b"o": _object, b"i": _instance, b"b": _build,
    b"P": _persistent, b"Q": _binary_persistent, b"\x80": _protocol, b"\x95": _skip(8),
    b"\x82": _extension(1), b"\x83": _extension(2), b"\x84": _extension(4),
}  # fmt: skip
_STEPS = [_BY_OPCODE.get(bytes([opcode])) for opcode in range(256)]
