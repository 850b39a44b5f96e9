"""Valid event files in every form that protobuf allows, drawn at random from plain values.

Fields are permuted, unknown ones and deprecated groups put between them, repeated numbers packed,
unpacked or in pieces, defaults written out, fields set twice, submessages split, and other members
of a oneof set before the one that counts.
"""

import random
import struct

import numpy as np

from tests.builders import event_bytes as eb

UNKNOWN = range(100, 3000)
"""Numbers that no message of an event file has."""

Field = tuple[int, bytes]
"""Number, and the encoded field."""


class Odd:
    """Draws events; `shy` is the share of messages that are written as writers do."""

    def __init__(self, seed: int, shy: float = 0.3) -> None:
        self._random = random.Random(seed)
        self._shy = shy

    def file(self, events: int = 12) -> bytes:
        """Several tags of every kind over some steps."""
        tags = {
            f"{kind}_{number}/moving_mean": draw
            for kind, draw in self._kinds().items()
            for number in range(2)
        }
        records, told = [eb.VERSION], set[str]()
        for step in range(events):
            values = []
            for tag, draw in tags.items():
                if self._random.random() < 0.8:
                    metadata = tag not in told or self._random.random() < 0.5
                    values.append(self._value(tag, *draw(), metadata))
                    told.add(tag)
            records.append(self._event(step, values))
        return b"".join(records)

    def _kinds(self):
        return {
            "simple": self._simple,
            "proto": self._proto,
            "scalar": self._scalar_tensor,
            "table": self._table,
        }

    def _event(self, step: int, values: list[bytes]) -> bytes:
        summary = [(1, eb.field(1, value)) for value in values]
        fields = [(1, eb.field(1, 1.6e9 + step)), (2, eb.field(2, step))]
        what = self._submessage(5, self._message(summary))
        if self._often():
            fields.insert(0, (2, eb.field(2, 99)))  # set twice
        before = [(5, field) for _, field in self._others((3, 6, 9, 4))]  # a oneof
        return eb.record(self._join(self._mixed([*fields, *before, *what])))

    def _value(self, tag: str, number: int, content: bytes, plugin: str, metadata: bool) -> bytes:
        fields = [(1, eb.field(1, tag.encode()))]
        if self._often():
            fields.insert(0, (1, eb.field(1, b"another")))
        if plugin and metadata:
            about = [(1, eb.field(1, plugin.encode())), (2, eb.field(2, b"content"))]
            inner = self._submessage(1, self._message(about))
            fields += self._submessage(9, self._message(inner))
        if number == 2:
            one = [(5, content)]
        else:
            one = [(5, field) for _, field in self._submessage(number, self._parts(content))]
        before = [(5, field) for _, field in self._others((3, 4, 6))]
        return self._join(self._mixed([*fields, *before, *one]))

    def _simple(self):
        return 2, b"\x15" + struct.pack("<f", self._number()), ""

    def _proto(self):
        # An odd number of values: where half of them end with a bucket and the next one is empty,
        # TensorBoard's median is rounded to one side or the other.
        size = 2 * self._random.randint(0, 20) + 1
        values = np.array([self._number() for _ in range(size)])
        limits, counts = np.unique(values, return_counts=True)
        moments = [values.min(), values.max(), values.size, values.sum(), (values**2).sum()]
        fields = [(n, eb.field(n, float(m))) for n, m in enumerate(moments, start=1)]
        fields += self._numbers(6, limits.tolist(), "<d", 1)
        fields += self._numbers(7, counts.astype(float).tolist(), "<d", 1)
        return 5, self._keep(self._message(fields)), ""

    def _scalar_tensor(self):
        return 8, self._tensor([self._number()], ()), "scalars"

    def _table(self):
        rows = self._random.randint(2, 12)  # a single one of width 1 stands for a constant
        edges = np.sort([self._number() for _ in range(rows + 1)])
        counts = [float(self._random.randint(0, 9)) for _ in range(rows)]
        table = np.stack([edges[:-1], edges[1:], counts], axis=1)
        return 8, self._tensor(table.ravel().tolist(), (rows, 3)), "histograms"

    def _tensor(self, values: list[float], sizes: tuple[int, ...]) -> bytes:
        dtype, code, number, wire_type = self._random.choice([(1, "<f", 5, 5), (2, "<d", 6, 1)])
        dims = [(2, eb.field(2, eb.field(1, size))) for size in sizes]
        shape = self._submessage(2, self._message(dims)) if sizes else []
        packed = struct.pack(f"<{len(values)}{code[1]}", *values)
        fields = [(1, eb.field(1, dtype)), *shape]
        form = self._random.choice(["content", "typed", "both"])
        if form != "typed":
            fields.append((4, eb.field(4, packed)))
        if form == "both":  # content counts
            fields += self._numbers(number, [7.0] * len(values), code, wire_type)
        if form == "typed":
            fields += self._numbers(number, values, code, wire_type)
        return self._keep(self._message(fields))

    def _numbers(self, number: int, values: list[float], code: str, wire_type: int) -> list[Field]:
        """A repeated field: packed, one by one, or in pieces of both kinds."""
        pieces, at = [], 0
        while at < len(values):
            size = self._random.choice([1, 3, len(values)])
            part = values[at : at + size]
            at += size
            if self._often():
                pieces += [eb.varint(number << 3 | wire_type) + struct.pack(code, v) for v in part]
            else:
                pieces.append(eb.field(number, struct.pack(f"<{len(part)}{code[1]}", *part)))
        return [(number, piece) for piece in pieces]

    def _number(self) -> float:
        odd = [0.0, 1.0, -1.0, 1e-30, 1e30]
        number = self._random.gauss(0, 3) if self._random.random() < 0.8 else None
        return float(np.float32(self._random.choice(odd) if number is None else number))

    def _message(self, fields: list[Field]) -> list[Field]:
        return self._mixed(fields)

    def _keep(self, fields: list[Field]) -> bytes:
        """Joins fields such that `_parts` finds them again."""
        self._last = fields
        return self._join(fields)

    def _parts(self, content: bytes) -> list[Field]:
        assert self._join(self._last) == content
        return self._last

    def _submessage(self, number: int, fields: list[Field]) -> list[Field]:
        """A field that holds a message, perhaps in two parts, which are merged."""
        if not self._often() or len(fields) < 2:
            return [(number, eb.field(number, self._join(fields)))]
        cut = self._random.randint(0, len(fields))
        parts = fields[:cut], fields[cut:]
        return [(number, eb.field(number, self._join(part))) for part in parts]

    def _others(self, numbers: tuple[int, ...]) -> list[Field]:
        """Other members of a oneof, set before the one that counts."""
        if not self._often():
            return []
        return [(n, eb.field(n, b"")) for n in self._random.sample(numbers, 2)]

    def _mixed(self, fields: list[Field]) -> list[Field]:
        """Permutes fields, those of one number in their order, with unknown ones between."""
        if self._random.random() < self._shy:
            return fields
        by_number: dict[int, list[bytes]] = {}
        for number, field in fields:
            by_number.setdefault(number, []).append(field)
        order = [number for number, _ in fields]
        self._random.shuffle(order)
        mixed = [(number, by_number[number].pop(0)) for number in order]
        for _ in range(self._random.choice([0, 1, 3, 80])):
            mixed.insert(self._random.randint(0, len(mixed)), self._unknown())
        return mixed

    def _unknown(self) -> Field:
        number = self._random.choice(UNKNOWN)
        kind = self._random.randrange(5)
        if kind == 3:  # a group, deprecated since proto2
            inner = self._unknown()[1] if self._often() else b""
            return number, eb.varint(number << 3 | 3) + inner + eb.varint(number << 3 | 4)
        if kind == 4:
            return number, eb.varint(number << 3 | 5) + bytes(4)
        return number, eb.field(number, [7, 1.5, b"unknown"][kind])

    def _join(self, fields: list[Field]) -> bytes:
        return b"".join(field for _, field in fields)

    def _often(self) -> bool:
        return self._random.random() < 0.4
