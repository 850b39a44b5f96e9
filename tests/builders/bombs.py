"""Event files that are small and would cost much.

`python -m tests.builders.bombs FOLDER KILOBYTES` reads each of them, under a limit of memory, and
prints as JSON how many functions were called meanwhile, which no other program can change;
scripts/bench_bombs.py measures the time.
"""

import itertools
import json
import pathlib
import struct
import sys
from collections.abc import Callable, Iterator

import bn_tb
from bn_tb.events.masked_crc import masked_crc
from tests.builders import event_bytes as eb
from tests.builders import written_logs

ROOM = 250 << 20
"""Bytes of memory beyond what the imports take: 300 MB in all."""


def repeated(part: bytes, size: int) -> bytes:
    """A part as often as it fits into a size."""
    return part * (size // len(part))


def filled(record: Callable[[int], bytes], size: int) -> bytes:
    """Different records, until a size is reached."""

    def records() -> Iterator[bytes]:
        total = 0
        for number in itertools.count():
            data = record(number)
            total += len(data)
            yield data
            if total > size:
                return

    return b"".join(records())


def graph(data: bytes) -> bytes:
    return eb.event(eb.field(4, data))


def node(name: str) -> bytes:
    return eb.field(1, eb.field(1, name.encode()) + eb.field(2, b"AddV2"))


def trace(data: bytes) -> bytes:
    return eb.event(eb.field(8, eb.field(1, b"tag") + eb.field(2, data)))


def dims(*sizes: int) -> bytes:
    return eb.field(2, b"".join(eb.field(2, eb.field(1, size)) for size in sizes))


def tensor(plugin: str, *parts: bytes) -> bytes:
    return eb.tensor("bn/moving_mean", plugin, eb.field(1, 1) + b"".join(parts))


def loose_histogram(size: int) -> bytes:
    """Buckets one by one."""
    proto = eb.field(6, 1.0) * size + eb.field(7, 1.0) * size
    return eb.field(1, b"bn/moving_mean") + eb.field(5, proto)


def tags(name: Callable[[int], str]) -> Callable[[int], bytes]:
    return lambda size: filled(lambda n: eb.summary(n, eb.scalar(name(n), 1.0)), size)


def session_info(content: bytes) -> bytes:
    metadata = eb.field(1, eb.field(1, b"hparams") + eb.field(2, content))
    return eb.summary(1, eb.field(1, b"_hparams_/session_start_info") + eb.field(9, metadata))


def honest(size: int) -> bytes:
    return repeated(written_logs.statistics(range(written_logs.STEPS), 0.9), size)


def keras(data: bytes) -> bytes:
    return eb.summary(1, eb.tensor("keras", "graph_keras_model", eb.field(8, data)))


BOMBS: dict[str, Callable[[int], bytes]] = {
    "empty nodes": lambda n: graph(repeated(b"\x0a\x00", n)),
    "a node with empty inputs": lambda n: graph(eb.field(1, repeated(b"\x1a\x00", n))),
    "a node with empty attributes": lambda n: graph(eb.field(1, repeated(b"\x2a\x00", n))),
    "empty functions": lambda n: graph(eb.field(2, repeated(b"\x0a\x00", n))),
    "empty collections": lambda n: eb.event(eb.field(9, repeated(b"\x22\x00", n))),
    "a trace of empty nodes": lambda n: trace(eb.field(1, eb.field(1, repeated(b"\x12\x00", n)))),
    "a graph of many nodes": lambda n: graph(
        b"".join(node(f"scope/op_{i}") for i in range(n // 24))
    ),
    "many graphs": lambda n: filled(lambda i: graph(node(f"n{i}")), n),
    "many graphs of a hundred nodes": lambda n: filled(
        lambda i: graph(b"".join(node(f"{i}/n{k}") for k in range(100))), n
    ),
    "many traces": lambda n: filled(lambda i: trace(eb.field(3, node(f"n{i}"))), n),
    "shapes of millions": lambda n: filled(
        lambda i: eb.summary(i, tensor("histograms", dims(5_592_405, 3))), n
    ),
    "shapes of a thousand": lambda n: filled(
        lambda i: eb.summary(i, tensor("histograms", dims(340, 3))), n // 16
    ),
    "a scalar of millions": lambda n: filled(
        lambda i: eb.summary(i, tensor("scalars", dims(1 << 24))), n
    ),
    "a shape of many dimensions": lambda n: eb.summary(
        1, tensor("histograms", dims(*[1] * (n // 4)), eb.field(4, bytes(4)))
    ),
    "typed tensors": lambda n: filled(
        lambda i: eb.summary(i, tensor("histograms", dims(1, 3), eb.field(5, bytes(12)))), n
    ),
    "a tag as long as the file": lambda n: eb.summary(1, eb.scalar("a" * n, 1.0)),
    "long tags": tags(lambda i: f"{i}" * 100_000),
    "tags of brackets": tags(lambda i: "[" * 4_000 + str(i)),
    "tags of moments": tags(lambda i: f"{i}/" + "moments_1/" * 390 + "x/ExponentialMovingAverage"),
    "deep tags": tags(lambda i: f"{i}/" + "a/" * 2_000 + "moving_mean"),
    "a session log of unknown fields": lambda n: eb.event(eb.field(7, repeated(b"\x18\x00", n))),
    "empty values": lambda n: eb.event(eb.field(5, repeated(b"\x0a\x00", n))),
    "many records of empty values": lambda n: (
        eb.event(eb.field(5, repeated(b"\x0a\x00", n // 16))) * 16
    ),
    "empty records": lambda n: repeated(eb.record(b""), n),
    "unknown fields": lambda n: eb.event(repeated(b"\x78\x00", n)),
    "records of unknown fields": lambda n: filled(
        lambda i: eb.event(repeated(b"\x78\x00", 1 << 16)), n
    ),
    "records that are cut": lambda n: filled(lambda i: eb.event(eb.field(5, b"\x0a\x7f")), n),
    "records with a wrong checksum": lambda n: repeated(eb.record(b"x")[:-4] + b"abcd", n),
    "loose histograms": lambda n: filled(lambda i: eb.summary(i, loose_histogram(1)), n),
    "a loose histogram": lambda n: eb.summary(1, loose_histogram(n // 18)),
    "hyperparameters": lambda n: session_info(eb.field(3, repeated(b"\x0a\x00", n))),
    "metadata of unknown fields": lambda n: eb.summary(
        1, eb.field(1, b"t") + eb.field(9, repeated(b"\x10\x00", n)) + eb.field(8, b"")
    ),
    "a model of brackets": lambda n: keras(b"[" * n),
    "a model of empty lists": lambda n: keras(b'{"a":[' + repeated(b"[],", n) + b"1]}"),
    "a tensor of empty strings": lambda n: eb.summary(
        1, eb.tensor("keras", "graph_keras_model", repeated(b"\x42\x00", n))
    ),
}


def sparse(path: pathlib.Path, size: int) -> None:
    """A file with a record of which nothing was written."""
    length = struct.pack("<Q", size)
    with path.open("ab") as file:
        file.write(length + struct.pack("<I", masked_crc(length)))
        file.truncate(file.tell() + size + 4)


def written(folder: pathlib.Path, size: int) -> Iterator[tuple[str, pathlib.Path]]:
    """Writes an honest file, and then each bomb in its place."""
    path = pathlib.Path(eb.write(folder, eb.VERSION + honest(size)))
    yield "honest", path
    for name, bomb in BOMBS.items():
        path.write_bytes(eb.VERSION + bomb(size))
        yield name, path
    path.write_bytes(eb.VERSION + honest(1 << 16))
    sparse(path, 3 << 30)
    yield "a sparse file that claims 3 GB", path


def read(path: pathlib.Path) -> str:
    """Judges a file; returns what went wrong in a way that nobody foresaw."""
    (diagnosis,) = bn_tb.diagnose(bn_tb.read_logdir(path))
    assert bn_tb.render([diagnosis])
    details = [file.detail for file in diagnosis.subject.run.files]
    return " ".join(d for d in (diagnosis.problem, *details) if "failed on it" in d)


def counted(path: pathlib.Path) -> tuple[int, str]:
    """Returns how many functions are called while a file is judged, and what went wrong."""
    calls = itertools.count()

    def count(_frame: object, event: str, _function: object) -> None:
        if event.endswith("call"):
            next(calls)

    sys.setprofile(count)
    try:
        fault = read(path)
    finally:
        sys.setprofile(None)
    return next(calls), fault


def main() -> None:
    """Prints what judging an honest file and each bomb of the same size calls."""
    import resource

    folder, size = pathlib.Path(sys.argv[1]), int(sys.argv[2]) << 10
    unlimited = (resource.RLIM_INFINITY,) * 2
    read(pathlib.Path(eb.write(folder, eb.VERSION + honest(1 << 16))))  # imports
    now = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    costs = {}
    for name, path in written(folder, size):
        if not name.startswith("a sparse"):
            resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, resource.RLIM_INFINITY))
        costs[name] = counted(path)
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
