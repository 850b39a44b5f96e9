"""The events of one window of a file, decoded into columns."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from bn_tb.events import histogram, protos, tensor, wire
from bn_tb.events.fields import PADDING, BoolArray, Buffer, Fields, find_fields, find_repeated
from bn_tb.events.tag_table import (
    GRAPH,
    GRAPH_KINDS,
    HISTOGRAM,
    SCALAR,
    UNKNOWN,
    TagTable,
    route_of_plugin,
)
from bn_tb.events.tf_record import HEADER_BYTES, Problem, Window
from bn_tb.runs.run import GraphSource
from bn_tb.runs.series import FloatArray, IntArray

_WALL_TIME, _STEP = wire.key(1, wire.FIXED64), wire.key(2, wire.VARINT)
_GRAPH_DEF, _SUMMARY = wire.key(4, wire.BYTES), wire.key(5, wire.BYTES)
_SESSION_LOG, _META_GRAPH = wire.key(7, wire.BYTES), wire.key(9, wire.BYTES)
_TAGGED_RUN_METADATA = wire.key(8, wire.BYTES)
_VERSION, _LOG_MESSAGE = wire.key(3, wire.BYTES), wire.key(6, wire.BYTES)
_WHAT = (  # a oneof
    *(_VERSION, _GRAPH_DEF, _SUMMARY, _LOG_MESSAGE, _SESSION_LOG, _TAGGED_RUN_METADATA),
    _META_GRAPH,
)
_EVENT = (_WALL_TIME, _STEP, *_WHAT)
"""Fields of Event, tensorflow/core/util/event.proto."""

_VALUE = wire.key(1, wire.BYTES)
_TAG, _METADATA = wire.key(1, wire.BYTES), wire.key(9, wire.BYTES)
_SIMPLE, _HISTO, _TENSOR = (
    wire.key(2, wire.FIXED32),
    wire.key(5, wire.BYTES),
    wire.key(8, wire.BYTES),
)
_OTHERS = tuple(wire.key(number, wire.BYTES) for number in (3, 4, 6))  # pictures, sounds
_KINDS = (_SIMPLE, _HISTO, _TENSOR, *_OTHERS)  # a oneof
"""Fields of Summary and Summary.Value, tensorflow/core/framework/summary.proto."""

_DTYPE, _CONTENT = wire.key(1, wire.VARINT), wire.key(4, wire.BYTES)
_FLOATS, _FLOAT = wire.key(5, wire.BYTES), wire.key(5, wire.FIXED32)

_STATUS, _SESSION_START = 1, 1  # SessionLog.status = START
_MAX_FIELDS = 64  # of an event or a value; the protos have ten
_MAX_VALUES = 1 << 18  # of one summary; 13 times the 20,000 tags that a run may have


@dataclasses.dataclass
class Batch:
    """What a window held: E events with V summary values.

    Attributes:
      steps: int64 `[E]`.
      wall_times: Seconds since the epoch, float64 `[E]`.
      valued: Events with a scalar or a histogram, also of tags that are skipped, bool `[E]`.
      starts: Events with a SessionLog START.
      events: Event of each value, int64 `[V]`.
      tags: Number of each value's tag, int64 `[V]`.
      scalars: Which values are scalars, and these, int64 and float64 `[N]`; in groups.
      histograms: Decoded histograms, by which values they are (`Rows.index`); in groups.
      graphs: By event.
      hyperparameters: Metadata of summary values that hold some, by event.
      bad: Reason by event; nothing else of such an event counts.
      lost: Reason by event of a value that could not be decoded; the rest of the event counts.
    """

    steps: IntArray
    wall_times: FloatArray
    valued: BoolArray
    starts: list[int] = dataclasses.field(default_factory=list)
    events: IntArray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    tags: IntArray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    scalars: list[tuple[IntArray, FloatArray]] = dataclasses.field(default_factory=list)
    histograms: list[histogram.Rows] = dataclasses.field(default_factory=list)
    graphs: list[tuple[int, GraphSource]] = dataclasses.field(default_factory=list)
    hyperparameters: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    bad: dict[int, str] = dataclasses.field(default_factory=dict)
    lost: dict[int, str] = dataclasses.field(default_factory=dict)

    def good(self) -> BoolArray:
        """Returns which events count, bool `[E]`."""
        good = np.ones(len(self.steps), bool)
        good[list(self.bad)] = False
        return good

    def problem(self, window: Window) -> Problem | None:
        """Returns the first event that could not be decoded as a whole, and their number."""
        faults = {one: f"{reason}; value left out" for one, reason in self.lost.items()}
        faults |= {one: f"{reason}; record left out" for one, reason in self.bad.items()}
        if not faults:
            return None
        first = min(faults)
        offset = window.offset + int(window.starts[first]) - HEADER_BYTES
        return Problem("corrupt", offset, faults[first], len(faults))


def decode(window: Window, table: TagTable, runs: IntArray | None = None) -> Batch:
    """Decodes the events of a window; new tags are added to the table.

    Args:
      window: Whole, verified records.
      table: The tags so far.
      runs: Which run of the table each event belongs to, int64 `[E]`; the first one by default.
    """
    located = _Located.of(window)
    odd = located.odd()
    if odd.any() and (usual := _rewritten(window, odd)):
        window, located = usual, _Located.of(usual)
        odd = located.odd()
    buffer, events = window.buffer, located.events
    batch = Batch(
        steps=events.last(_STEP)[1],
        wall_times=buffer.doubles(events.last(_WALL_TIME)[0]),
        valued=np.zeros(len(window.starts), bool),
        bad=dict.fromkeys(np.flatnonzero(odd).tolist(), "malformed event"),
    )
    _find_graphs(buffer, events, batch)
    _find_sessions(buffer, events, batch)
    runs = np.zeros(len(window.starts), np.int64) if runs is None else runs
    _Values(buffer, table, batch, runs, located.value_event, located.values).decode()
    return batch


@dataclasses.dataclass(frozen=True)
class _Located:
    """Where things are in a window of E events with S summaries and V values.

    Attributes:
      events: Fields of the events.
      summary_event: Event of each summary, int64 `[S]`.
      summaries: Fields of the summaries.
      value_event: Event of each value, int64 `[V]`.
      values: Fields of the values.
    """

    events: Fields
    summary_event: IntArray
    summaries: Fields
    value_event: IntArray
    values: Fields

    @classmethod
    def of(cls, window: Window) -> "_Located":
        buffer = window.buffer
        events = find_fields(buffer, window.starts, window.ends, _EVENT, _MAX_FIELDS)
        event, at, size = events.each(_SUMMARY)
        summaries = find_repeated(buffer, at, at + size, _VALUE, _MAX_VALUES)
        summary, at, size = summaries.each(_VALUE)
        if not size.all():  # values of no bytes: neither tag nor content, millions of them
            summary, at, size = (column[size > 0] for column in (summary, at, size))
        values = find_fields(buffer, at, at + size, (_TAG, _METADATA, *_KINDS), _MAX_FIELDS)
        return cls(events, event, summaries, event[summary], values)

    def odd(self) -> BoolArray:
        """Returns which events are malformed, or in a form that only protobuf understands."""
        odd = self.events.bad | self.events.several(_WHAT)
        odd[self.summary_event[self.summaries.bad]] = True
        values = self.values.bad | self.values.several(_KINDS)
        values |= self.values.several([_TAG]) | self.values.several([_METADATA])
        odd[self.value_event[values]] = True
        return odd


def _rewritten(window: Window, odd: BoolArray) -> Window | None:
    """Returns a window with some events in the usual form, or None if none of them is an event."""
    data = window.buffer.data
    starts, ends, parts, at = window.starts.copy(), window.ends.copy(), [data], len(data)
    for one in np.flatnonzero(odd & (ends - starts <= protos.LARGEST)).tolist():
        try:
            parts.append(protos.canonical(data[starts[one] : ends[one]]))
        except wire.DecodeError:
            continue
        starts[one], ends[one] = at, at + len(parts[-1])
        at = int(ends[one])
    if len(parts) == 1:
        return None
    buffer = Buffer(b"".join([*parts, bytes(PADDING)]))
    return dataclasses.replace(window, buffer=buffer, starts=starts, ends=ends)


class _Values:
    """The summary values of a window on their way into its batch."""

    def __init__(
        self,
        buffer: Buffer,
        table: TagTable,
        batch: Batch,
        runs: IntArray,
        event: IntArray,
        found: Fields,
    ) -> None:
        self._buffer, self._table, self._batch, self._event = buffer, table, batch, event
        self._found = found
        self._tag = table.identify(buffer, *found.last(_TAG))
        self._runs = runs[event]
        batch.events, batch.tags = self._event, self._tag

    def decode(self) -> None:
        self._find_hyperparameters()
        simple = self._found.last(_SIMPLE)[0]
        histo, histo_size = self._found.last(_HISTO)
        at, size = self._found.last(_TENSOR)
        is_simple, is_histo = simple >= 0, histo >= 0
        self._learn_routes(is_simple, is_histo)
        which = np.flatnonzero(is_simple)
        self._add_scalars(which, self._buffer.floats(simple[which]))
        self._add_histograms(np.flatnonzero(is_histo), histo, histo_size, histogram.from_protos)
        which = np.flatnonzero(at >= 0)
        if not len(which):
            return
        routes = self._table.routes(self._runs[which], self._tag[which])
        self._add_histograms(which[routes == HISTOGRAM], at, size, histogram.from_tensors)
        scalar = which[routes == SCALAR]
        self._add_scalars(*self._tensor_scalars(scalar, at, size))
        for route in range(GRAPH, GRAPH + len(GRAPH_KINDS)):
            for one in which[routes == route].tolist():
                data = self._buffer.data[at[one] : at[one] + size[one]]
                self._add_graph(one, GRAPH_KINDS[route - GRAPH], data)

    def _find_hyperparameters(self) -> None:
        at, size = self._found.last(_METADATA)
        for one in np.flatnonzero((self._tag == self._table.hyperparameters) & (at >= 0)).tolist():
            about = self._buffer.data[at[one] : at[one] + size[one]]
            self._batch.hyperparameters.append((int(self._event[one]), about))

    def _learn_routes(self, simple: BoolArray, histo: BoolArray) -> None:
        """Learns what the tensors of tags are, where that is not known yet."""
        unknown = self._table.routes(self._runs, self._tag) == UNKNOWN
        if not unknown.any():
            return
        said = np.where(simple, SCALAR, np.where(histo, HISTOGRAM, UNKNOWN))
        at, size = self._found.last(_METADATA)
        about = np.flatnonzero(unknown & (at >= 0) & (said == UNKNOWN))
        keys = self._runs[about] * len(self._table.tags) + self._tag[about]
        for one in about[np.unique(keys, return_index=True)[1]].tolist():
            said[one] = route_of_plugin(self._buffer.data[at[one] : at[one] + size[one]])
        self._table.learn(self._runs, self._tag, said)

    def _add_scalars(self, which: IntArray, values: FloatArray) -> None:
        if not len(which):
            return
        self._batch.valued[self._event[which]] = True
        self._batch.scalars.append((which, values))
        statistic = np.flatnonzero(self._table.statistic(self._tag[which]))
        if len(statistic):
            rows = histogram.from_scalars(values[statistic])
            self._batch.histograms.append(dataclasses.replace(rows, index=which[statistic]))

    def _add_histograms(
        self,
        which: IntArray,
        at: IntArray,
        size: IntArray,
        decoder: Callable[..., Iterator[histogram.Rows]],
    ) -> None:
        if not len(which):
            return
        self._batch.valued[self._event[which]] = True
        which = which[self._table.wanted(self._tag[which])]
        statistic = self._table.statistic(self._tag[which])
        for banded in (True, False):
            some = which[statistic == banded]
            if not len(some):
                continue
            bad: dict[int, str] = {}
            for rows in decoder(self._buffer, at[some], at[some] + size[some], banded, bad):
                self._batch.histograms.append(dataclasses.replace(rows, index=some[rows.index]))
            for one, reason in bad.items():
                self._batch.lost[int(self._event[some[one]])] = reason

    def _tensor_scalars(
        self, which: IntArray, at: IntArray, size: IntArray
    ) -> tuple[IntArray, FloatArray]:
        """Returns the values whose tensors hold one number, and these, float64 `[N]`."""
        at, end = at[which], at[which] + size[which]
        keys = (_DTYPE, _CONTENT, _FLOATS, _FLOAT)
        found = find_fields(self._buffer, at, end, keys, _MAX_FIELDS)
        where = np.full(len(which), -1, np.int64)
        single = (found.last(_DTYPE)[1] == tensor.FLOAT) & ~(found.bad | found.several(keys[1:]))
        for key in keys[1:]:
            content, content_bytes = found.last(key)
            usable = single & (content >= 0) & ((content_bytes == 4) | (key == _FLOAT))
            where = np.where(usable, content, where)
        values, fine = self._buffer.floats(where), np.ones(len(which), bool)
        for one in np.flatnonzero(where < 0).tolist():
            try:
                flat = tensor.decode(self._buffer.data[at[one] : end[one]]).reshape(-1)
                if flat.size != 1:
                    raise wire.DecodeError(f"scalar tensor of {flat.size} elements")
                values[one] = flat[0]
            except wire.DecodeError as error:
                fine[one] = False
                self._batch.lost[int(self._event[which[one]])] = str(error)
        return which[fine], values[fine]

    def _add_graph(self, value: int, kind: str, message: bytes) -> None:
        event, name = int(self._event[value]), self._table.tags[int(self._tag[value])].name
        step = int(self._batch.steps[event])
        try:
            for data in tensor.decode_strings(message):
                self._batch.graphs.append((event, GraphSource(kind, name, step, data)))
        except wire.DecodeError as error:
            self._batch.lost[event] = str(error)


def _find_graphs(buffer: Buffer, events: Fields, batch: Batch) -> None:
    for key, kind in ((_GRAPH_DEF, "graph_def"), (_META_GRAPH, "meta_graph_def")):
        for event, at, size in _each(events, key):
            step, data = int(batch.steps[event]), buffer.data[at : at + size]
            batch.graphs.append((event, GraphSource(kind, "", step, data)))
    for event, at, size in _each(events, _TAGGED_RUN_METADATA):
        step = int(batch.steps[event])
        try:
            tag, metadata = _tagged(buffer.data[at : at + size])
        except wire.DecodeError as error:
            batch.bad[event] = str(error)
            continue
        source = GraphSource(
            "tagged_run_metadata", tag.decode("utf-8", "backslashreplace"), step, metadata
        )
        batch.graphs.append((event, source))


def _tagged(message: bytes) -> tuple[bytes, bytes]:
    proto = protos.parse("TaggedRunMetadata", message)
    return proto.tag, proto.run_metadata


def _find_sessions(buffer: Buffer, events: Fields, batch: Batch) -> None:
    for event, at, size in _each(events, _SESSION_LOG):
        try:
            if _status(buffer.data[at : at + size]) == _SESSION_START:
                batch.starts.append(event)
        except wire.DecodeError as error:
            batch.bad[event] = str(error)


def _each(events: Fields, key: int) -> Iterator[tuple[int, int, int]]:
    """Returns event, position and size of every such field."""
    return zip(*(column.tolist() for column in events.each(key)), strict=True)


def _status(message: bytes) -> int:
    """Returns the status of a SessionLog; protobuf is imported for unusual ones only."""
    try:
        found = [v for number, v in wire.fields(message, wire.FEW) if number == _STATUS]
        return int(found[-1]) if found and isinstance(found[-1], int) else 0
    except wire.DecodeError:
        return int(protos.parse("SessionLog", message).status)
