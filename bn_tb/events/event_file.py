"""The records of one event file: framing, checksums, events, and what went wrong where."""

import dataclasses
import os
import struct
from collections.abc import Callable, Iterator

from bn_tb.events import wire
from bn_tb.events.masked_crc import masked_crc
from bn_tb.run import FileReport

HEADER_BYTES = 12  # length (8) and its masked checksum (4)
FOOTER_BYTES = 4  # masked checksum of the payload


@dataclasses.dataclass(frozen=True)
class Value:
    """One entry of a summary; `payload` is a float (kind scalar) or a serialized proto."""

    tag: str
    plugin: str
    kind: str
    payload: wire.Payload


@dataclasses.dataclass
class Event:
    """The fields of an Event that are read; tensorflow/core/util/event.proto."""

    wall_time: float = 0.0
    step: int = 0
    graphs: list[tuple[str, bytes]] = dataclasses.field(default_factory=list)
    values: list[Value] = dataclasses.field(default_factory=list)
    session_start: bool = False


_GRAPH_FIELDS = {4: "graph_def", 8: "tagged_run_metadata", 9: "meta_graph_def"}
_VALUE_KINDS = {2: "scalar", 5: "histo", 8: "tensor"}
_SESSION_START = 1


def decode_event(message: bytes) -> Event:
    """Decodes one Event; raises wire.DecodeError."""
    event = Event()
    for number, value in wire.fields(message):
        if number == 1 and isinstance(value, float):
            event.wall_time = value
        elif number == 2 and isinstance(value, int):
            event.step = wire.signed(value)
        elif number in _GRAPH_FIELDS and isinstance(value, bytes):
            event.graphs.append((_GRAPH_FIELDS[number], value))
        elif number == 5 and isinstance(value, bytes):
            event.values += [_decode_value(v) for n, v in wire.fields(value) if n == 1]
        elif number == 7 and isinstance(value, bytes):
            event.session_start = (1, _SESSION_START) in wire.fields(value)
    return event


def _decode_value(message: object) -> Value:
    if not isinstance(message, bytes):
        raise wire.DecodeError("a summary value that is no message")
    tag, plugin, kind = "", "", ""
    payload: wire.Payload = b""
    for number, value in wire.fields(message):
        if number == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif number == 9 and isinstance(value, bytes):
            plugin = _plugin(value)
        elif number in _VALUE_KINDS:
            kind, payload = _VALUE_KINDS[number], value
    return Value(tag, plugin, kind, payload)


def _plugin(metadata: bytes) -> str:
    for number, plugin_data in wire.fields(metadata):
        if number == 1 and isinstance(plugin_data, bytes):
            for inner, name in wire.fields(plugin_data):
                if inner == 1 and isinstance(name, bytes):
                    return name.decode("utf-8", "replace")
    return ""


def read_file(path: str, take: Callable[[Event], None]) -> FileReport:
    """Hands every event of a file to `take` and returns what became of the file.

    Reading stops at the first framing error; a record with a good checksum that does not decode
    is skipped.
    """
    if not os.path.isfile(path):
        return FileReport(path, 0, 0, "not_event_file", "not a regular file")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return FileReport(path, 0, 0, "not_event_file", f"cannot be read: {error.strerror}")
    events, skipped = 0, ""
    frames = _Frames(data)
    for offset, record in frames:
        events += 1
        try:
            take(decode_event(record))
        except wire.DecodeError as error:
            skipped = skipped or f"record at byte {offset} skipped: {error}"
    if frames.status != "ok":
        return FileReport(path, len(data), events, frames.status, frames.detail)
    return FileReport(path, len(data), events, "corrupt" if skipped else "ok", skipped)


class _Frames:
    """Iterates over (offset, payload); then `status` and `detail` say how it ended."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.status, self.detail = "ok", ""

    def _end(self, status: str, detail: str) -> None:
        self.status, self.detail = status, detail

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        data, at = self._data, 0
        while at < len(data):
            if len(data) - at < HEADER_BYTES:
                return self._end("truncated", f"byte {at}: the file ends inside a record header")
            length, crc = struct.unpack_from("<QI", data, at)
            want = masked_crc(data[at : at + 8])
            if crc != want:
                status = "corrupt" if at else "not_event_file"
                what = f"length checksum {crc:#010x}, expected {want:#010x}"
                return self._end(status, f"byte {at}: {what}")
            end = at + HEADER_BYTES + length
            if len(data) < end + FOOTER_BYTES:
                what = f"the file ends inside a record of {length} bytes"
                return self._end("truncated", f"byte {at}: {what}")
            payload = data[at + HEADER_BYTES : end]
            (crc,) = struct.unpack_from("<I", data, end)
            want = masked_crc(payload)
            if crc != want:
                what = f"payload checksum {crc:#010x}, expected {want:#010x}"
                return self._end("corrupt", f"byte {at}: {what}")
            yield at, payload
            at = end + FOOTER_BYTES
        return None
