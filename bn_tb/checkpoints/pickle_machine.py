"""A pickle machine that executes nothing: containers and numbers are built, all else is inert.

The opcodes are those of protocols 0 to 5, as `pickletools` of Python describes them.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from bn_tb.checkpoints.contents import CheckpointError
from bn_tb.checkpoints.pickle_stack import (
    Build,
    CutOffError,
    Global,
    Inert,
    Machine,
    Persistent,
    Written,
    WrittenFloat,
    WrittenInt,
    key_of,
)

_LONGEST_NUMBER = 1 << 10  # bytes or digits; larger ones take quadratic time
_PROTOCOL = 5


def load(
    data: bytes, at: int, build: Build, persistent: Persistent, written: list[Written] | None = None
) -> tuple[Any, int]:
    """Returns the value of the pickle that begins at `at`, and where the pickle ends.

    Time and memory are at most proportional to its length.

    Args:
      data: The bytes.
      at: Where the pickle begins.
      build: What calls of globals stand for.
      persistent: What persistent identifiers stand for.
      written: Gets the numbers, which then know where they are written.

    Raises:
      CutOffError: It goes on after the end of `data`.
      CheckpointError: It is none.
    """
    machine = Machine(build, persistent)
    try:
        return _run(machine, data, at, _STEPS if written is None else _noting(written))
    except (struct.error, EOFError):
        raise CutOffError("a pickle that is cut off; copy the file again") from None
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError("not a sound pickle") from None


def _run(m: Machine, data: bytes, at: int, steps: Sequence["_Step | None"]) -> tuple[Any, int]:
    end = len(data)
    while at < end:
        opcode = data[at]
        if opcode == _STOP:
            return m.stack.pop(), at + 1
        step = steps[opcode]
        if step is None:
            raise CheckpointError(f"not a pickle: opcode {opcode} at byte {at}")
        at = step(m, data, at + 1)
    raise EOFError


# One function an opcode: it is given the position after the opcode, and returns that of the next.
# A number at the end of the data is read by struct, which says so where it is cut off.

_Step = Callable[[Machine, bytes, int], int]
_OCTET, _SHORT, _INT, _UNSIGNED, _LONG_SIZE, _DOUBLE = map(
    struct.Struct, ("B", "<H", "<i", "<I", "<Q", ">d")
)


def _taken(data: bytes, at: int, size: int) -> bytes:
    if size < 0:
        raise ValueError
    found = data[at : at + size]
    if len(found) < size:
        raise EOFError
    return found


def _line(data: bytes, at: int) -> tuple[str, int]:
    """Returns the text up to the next end of line, and where the next line begins."""
    end = data.find(b"\n", at)
    if end < 0:
        raise EOFError
    return data[at:end].decode("utf-8", "replace"), end + 1


def _push(value: Any) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        m.stack.append(value)
        return at

    return step


def _push_new(kind: type) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        m.stack.append(kind())
        return at

    return step


def _number(code: struct.Struct) -> _Step:
    unpack, size = code.unpack_from, code.size

    def step(m: Machine, data: bytes, at: int) -> int:
        m.stack.append(unpack(data, at)[0])
        return at + size

    return step


def _noted(code: struct.Struct, kind: type[Written], numbers: list[Written]) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        number = kind(code.unpack_from(data, at)[0])
        number.at = at
        numbers.append(number)
        m.stack.append(number)
        return at + code.size

    return step


def _text(code: struct.Struct, encoding: str) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        size: int = code.unpack_from(data, at)[0]
        at += code.size
        m.stack.append(_taken(data, at, size).decode(encoding, "replace"))
        return at + size

    return step


def _raw(code: struct.Struct) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        size: int = code.unpack_from(data, at)[0]
        at += code.size
        m.stack.append(_taken(data, at, size))
        return at + size

    return step


def _long(code: struct.Struct) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        size: int = code.unpack_from(data, at)[0]
        at += code.size
        digits = _taken(data, at, size)
        if size > _LONGEST_NUMBER:
            raise CheckpointError(f"a number of {size} bytes")
        m.stack.append(int.from_bytes(digits, "little", signed=True))
        return at + size

    return step


def _put(code: struct.Struct) -> _Step:
    unpack, size = code.unpack_from, code.size

    def step(m: Machine, data: bytes, at: int) -> int:
        m.memo[unpack(data, at)[0]] = m.stack[-1]
        return at + size

    return step


def _get(code: struct.Struct) -> _Step:
    unpack, size = code.unpack_from, code.size

    def step(m: Machine, data: bytes, at: int) -> int:
        m.stack.append(m.memo[unpack(data, at)[0]])
        return at + size

    return step


def _skip(size: int) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        _taken(data, at, size)
        return at + size

    return step


def _tuple(length: int) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        m.stack[-length:] = [tuple(m.stack[-length:])]
        return at

    return step


def _decimal(m: Machine, data: bytes, at: int) -> int:
    line, at = _line(data, at)
    line = line.rstrip("L\r")
    if len(line) > _LONGEST_NUMBER:
        raise CheckpointError(f"a number of {len(line)} digits")
    truth = {"00": False, "01": True}.get(line)
    m.stack.append(int(line) if truth is None else truth)
    return at


def _decimal_float(m: Machine, data: bytes, at: int) -> int:
    line, at = _line(data, at)
    m.stack.append(float(line))
    return at


def _quoted(m: Machine, data: bytes, at: int) -> int:
    line, at = _line(data, at)
    m.stack.append(line.strip("'\"\r"))
    return at


def _line_text(m: Machine, data: bytes, at: int) -> int:
    line, at = _line(data, at)
    m.stack.append(line)
    return at


def _put_line(m: Machine, data: bytes, at: int) -> int:
    line, at = _line(data, at)
    m.memo[int(line[:20])] = m.stack[-1]
    return at


def _get_line(m: Machine, data: bytes, at: int) -> int:
    line, at = _line(data, at)
    m.stack.append(m.memo[int(line[:20])])
    return at


def _global(m: Machine, data: bytes, at: int) -> int:
    module, at = _line(data, at)
    name, at = _line(data, at)
    m.stack.append(Global(module, name))
    return at


def _instance(m: Machine, data: bytes, at: int) -> int:
    module, at = _line(data, at)
    name, at = _line(data, at)
    args = m.since_mark()
    m.stack.append(m.made(Global(module, name), args))
    return at


def _persistent(m: Machine, data: bytes, at: int) -> int:
    line, at = _line(data, at)
    m.stack.append(m.persistent(line))
    return at


def _extension(size: int) -> _Step:
    def step(m: Machine, data: bytes, at: int) -> int:
        _taken(data, at, size)
        m.stack.append(Global("copyreg", "extension"))
        return at + size

    return step


def _protocol(m: Machine, data: bytes, at: int) -> int:
    if _OCTET.unpack_from(data, at)[0] > _PROTOCOL:
        raise CheckpointError("a pickle of a protocol that nobody knows")
    return at + 1


def _mark(m: Machine, data: bytes, at: int) -> int:
    m.marked.append(m.stack)
    m.stack = []
    return at


def _tuple_since_mark(m: Machine, data: bytes, at: int) -> int:
    found = m.stack
    m.stack = m.marked.pop()
    m.stack.append(tuple(found))
    return at


def _reduce(m: Machine, data: bytes, at: int) -> int:
    args = m.stack.pop()
    m.stack[-1] = m.made(m.stack[-1], args)
    return at


def _on_stack(change: Callable[[Machine], None]) -> _Step:
    """Returns the step of an opcode without argument that needs the stack alone."""

    def step(m: Machine, data: bytes, at: int) -> int:
        change(m)
        return at

    return step


def _memoize(m: Machine) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.since_mark()


def _pop_mark(m: Machine) -> None:
    m.since_mark()


def _duplicate(m: Machine) -> None:
    m.stack.append(m.stack[-1])


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


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError
    m.stack.append(Global(module, name))


def _new_object_with_keywords(m: Machine) -> None:
    m.stack.pop()
    args = m.stack.pop()
    m.stack[-1] = m.made(m.stack[-1], args)


def _object(m: Machine) -> None:
    kind, *args = m.since_mark()
    m.stack.append(m.made(kind, args))


def _build(m: Machine) -> None:
    state = m.stack.pop()
    if isinstance(m.stack[-1], Inert):
        m.stack[-1].state = state


def _binary_persistent(m: Machine) -> None:
    m.stack.append(m.persistent(m.stack.pop()))


_STOP = ord(".")
_BY_OPCODE: dict[bytes, _Step] = {
    b"(": _mark, b"t": _tuple_since_mark, b"R": _reduce, b"\x81": _reduce,
    b"F": _decimal_float, b"I": _decimal, b"L": _decimal, b"S": _quoted, b"V": _line_text,
    b"G": _number(_DOUBLE), b"J": _number(_INT), b"K": _number(_OCTET), b"M": _number(_SHORT),
    b"\x8a": _long(_OCTET), b"\x8b": _long(_INT),
    b"N": _push(None), b"\x88": _push(True), b"\x89": _push(False), b")": _push(()),
    b"]": _push_new(list), b"}": _push_new(dict), b"\x8f": _push_new(list),
    b"X": _text(_UNSIGNED, "utf-8"), b"\x8c": _text(_OCTET, "utf-8"),
    b"\x8d": _text(_LONG_SIZE, "utf-8"),
    b"T": _text(_INT, "latin-1"), b"U": _text(_OCTET, "latin-1"),
    b"B": _raw(_UNSIGNED), b"C": _raw(_OCTET), b"\x8e": _raw(_LONG_SIZE),
    b"\x96": _raw(_LONG_SIZE),
    b"\x85": _tuple(1), b"\x86": _tuple(2), b"\x87": _tuple(3),
    b"p": _put_line, b"q": _put(_OCTET), b"r": _put(_UNSIGNED),
    b"g": _get_line, b"h": _get(_OCTET), b"j": _get(_UNSIGNED),
    b"c": _global, b"i": _instance, b"P": _persistent, b"\x80": _protocol, b"\x95": _skip(8),
    b"\x82": _extension(1), b"\x83": _extension(2), b"\x84": _extension(4),
} | {
    opcode: _on_stack(change)
    for opcode, change in {
        b"0": _pop, b"1": _pop_mark, b"2": _duplicate, b"\x94": _memoize,
        b"l": _list_since_mark, b"d": _dict_since_mark, b"\x91": _list_since_mark,
        b"a": _append, b"e": _appends, b"s": _set_item, b"u": _set_items, b"\x90": _appends,
        b"\x93": _stack_global, b"\x92": _new_object_with_keywords, b"o": _object,
        b"b": _build, b"Q": _binary_persistent,
    }.items()
}  # fmt: skip
_STEPS = [_BY_OPCODE.get(bytes([opcode])) for opcode in range(256)]

NUMBERS = {ord("G"): _DOUBLE, ord("J"): _INT, ord("K"): _OCTET, ord("M"): _SHORT}
"""Codes of the numbers that `WrittenInt` and `WrittenFloat` are made of, by opcode."""


def _noting(numbers: list[Written]) -> "list[_Step | None]":
    """Returns steps that note the numbers and where they are written."""
    steps = list(_STEPS)
    for opcode, code in NUMBERS.items():
        kind = WrittenFloat if code is _DOUBLE else WrittenInt
        steps[opcode] = _noted(code, kind, numbers)
    return steps
