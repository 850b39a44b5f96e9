"""Event files from plain values, byte by byte, for tests that need exact or broken ones."""

import pathlib
import struct

from bn_tb.events.masked_crc import masked_crc


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | int | float) -> bytes:
    """A field: bytes as length-delimited, int as varint, float as double."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def record(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    header = length + struct.pack("<I", masked_crc(length))
    return header + payload + struct.pack("<I", masked_crc(payload))


def event(*fields: bytes, step: int = 0, wall_time: float = 1.6e9) -> bytes:
    """One record: an Event with these fields beside step and wall time."""
    return record(field(1, wall_time) + field(2, step) + b"".join(fields))


VERSION = event(field(3, b"brain.Event:2"))


def summary(step: int, *values: bytes) -> bytes:
    """One record: an Event with a summary of these values."""
    return event(field(5, b"".join(field(1, value) for value in values)), step=step)


def scalar(tag: str, value: float) -> bytes:
    """A Summary.Value with simple_value."""
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def histogram(tag: str, values: list[float]) -> bytes:
    """A Summary.Value with a HistogramProto of one bucket per distinct value."""
    limits = sorted(set(values))
    counts = [float(values.count(limit)) for limit in limits]
    moments = [min(values), max(values), len(values), sum(values), sum(v * v for v in values)]
    proto = b"".join(field(n, float(v)) for n, v in enumerate(moments, start=1) if v)
    proto += field(6, struct.pack(f"<{len(limits)}d", *limits))
    proto += field(7, struct.pack(f"<{len(counts)}d", *counts))
    return field(1, tag.encode()) + field(5, proto)


def tensor(tag: str, plugin: str, proto: bytes) -> bytes:
    """A Summary.Value with a TensorProto and the name of its plugin."""
    return field(1, tag.encode()) + field(9, field(1, field(1, plugin.encode()))) + field(8, proto)


def tensor_histogram(tag: str, rows: list[tuple[float, float, float]]) -> bytes:
    """A Summary.Value as TF2 writes histograms: `[k, 3]` doubles."""
    shape = field(2, field(1, len(rows))) + field(2, field(1, 3))
    content = b"".join(struct.pack("<3d", *row) for row in rows)
    return tensor(tag, "histograms", field(1, 2) + field(2, shape) + field(4, content))


def write(folder: pathlib.Path, data: bytes, name: str = "events.out.tfevents.1.host") -> str:
    """Writes an event file, makes its folder, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return str(path)
