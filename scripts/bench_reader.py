"""Measures the reader against its floor and against other readers, on data that it writes itself.

    python scripts/bench_reader.py [--only=a,b] [--rounds=5] [--scale=1.0]

Data: (a) TF1 style, 2,000 steps with one merged summary of 120 histograms and 2 scalars each, 40
of them batch-norm statistics, about 140 MB; (b) the same as TF2 writes it, one record per tag and
step, about 190 MB; (c) 1,000 small runs; (d) as (b) with ten times the steps. The floor is reading
the file in windows and one CRC-32C pass over it. All programs run one after the other in each round,
and the medians over the rounds are compared, so that a busy machine slows all of them.
"""

import pathlib
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import google_crc32c
import numpy as np
from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bn_tb.events.logdir import read_logdir  # noqa: E402
from bn_tb.events.masked_crc import masked_crc  # noqa: E402

_ONLY = flags.DEFINE_list("only", ["a", "b", "c", "d"], "Which data sets to measure.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds; medians are compared.", lower_bound=1)
_SCALE = flags.DEFINE_float("scale", 1.0, "Share of the full number of steps or runs.")
_PEERS = flags.DEFINE_bool("peers", True, "Whether to measure TensorBoard's two readers.")
_FOLDER = flags.DEFINE_string("folder", "", "Keeps the data here and takes it from here.")

STEPS, LAYERS, WEIGHTS, CHANNELS = 2000, 20, 80, 24
LIMITS = np.array(
    [-(1.1**k) for k in range(80, -141, -1)]
    + [1.1**k for k in range(-140, 81)]
    + [sys.float_info.max]
)
"""Bucket limits close to TF1's, whose growth factor is 1.1 (core/lib/histogram/histogram.cc)."""


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def record(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    header = length + struct.pack("<I", masked_crc(length))
    return header + payload + struct.pack("<I", masked_crc(payload))


def event(step: int, values: list[bytes]) -> bytes:
    summary = b"".join(field(1, value) for value in values)
    return record(double(1, 1.6e9 + step) + b"\x10" + varint(step) + field(5, summary))


def channels(step: int, offset: float) -> np.ndarray:
    base = np.linspace(-1.5, 1.5, CHANNELS)
    return (offset + base * (1 - 0.99 ** (step + 1))).astype(np.float64)


def histogram_proto(values: np.ndarray) -> bytes:
    """A HistogramProto as TF1 writes it: runs of empty buckets are merged into one."""
    which = np.searchsorted(LIMITS, values, side="right")
    counts = np.bincount(which, minlength=len(LIMITS)).astype(np.float64)
    empty = counts == 0
    kept = ~(empty & np.append(empty[1:], False))
    moments = (values.min(), values.max(), len(values), values.sum(), (values**2).sum())
    written = b"".join(double(n, float(v)) for n, v in enumerate(moments, start=1))
    return written + field(6, LIMITS[kept].tobytes()) + field(7, counts[kept].tobytes())


def histogram_tensor(values: np.ndarray) -> bytes:
    counts, edges = np.histogram(values, 30)
    rows = np.stack([edges[:-1], edges[1:], counts], axis=1).astype("<f8")
    shape = field(2, b"\x08\x1e") + field(2, b"\x08\x03")
    return b"\x08\x02" + field(2, shape) + field(4, rows.tobytes())


def tags() -> list[tuple[str, float]]:
    layers = [f"model/block{n}/batch_normalization" for n in range(LAYERS)]
    found = [(f"{layer}/moving_mean", 0.0) for layer in layers]
    found += [(f"{layer}/moving_variance", 1.0) for layer in layers]
    return found + [(f"model/activation{n}/output", 0.1) for n in range(WEIGHTS)]


def steps_of_tf1(steps: int) -> Iterator[bytes]:
    yield record(double(1, 1.6e9) + field(3, b"brain.Event:2"))
    for step in range(steps):
        values = [
            field(1, tag.encode()) + field(5, histogram_proto(channels(step, offset)))
            for tag, offset in tags()
        ]
        for tag in ("loss", "accuracy"):
            values.append(field(1, tag.encode()) + b"\x15" + struct.pack("<f", 1 / (step + 1)))
        yield event(step, values)


def steps_of_tf2(steps: int) -> Iterator[bytes]:
    yield record(double(1, 1.6e9) + field(3, b"brain.Event:2"))
    histograms, scalars = (field(1, field(1, name)) for name in (b"histograms", b"scalars"))
    content = [(field(1, tag.encode()) + field(9, histograms), offset) for tag, offset in tags()]
    for step in range(steps):
        tensors = {offset: histogram_tensor(channels(step, offset)) for _, offset in tags()}
        for head, offset in content:
            yield event(step, [head + field(8, tensors[offset])])
        for tag in ("loss", "accuracy"):
            tensor = b"\x08\x01" + field(2, b"") + field(4, struct.pack("<f", 1 / (step + 1)))
            yield event(step, [field(1, tag.encode()) + field(9, scalars) + field(8, tensor)])


def write(folder: pathlib.Path, name: str, scale: float) -> pathlib.Path:
    target = folder / name
    if target.exists():
        return target
    if name == "c":
        content = b"".join(steps_of_tf2(2))
        for run in range(round(1000 * scale)):
            (target / f"run{run:04}").mkdir(parents=True)
            (target / f"run{run:04}/events.out.tfevents.1600000000.host").write_bytes(content)
        return target
    target.mkdir(parents=True)
    steps = round(STEPS * scale * (10 if name == "d" else 1))
    with open(target / "events.out.tfevents.1600000000.host", "wb") as file:
        for data in (steps_of_tf1 if name == "a" else steps_of_tf2)(steps):
            file.write(data)
    return target


def read_floor(folder: pathlib.Path) -> None:
    for path in sorted(folder.rglob("*tfevents*")):
        with open(path, "rb", buffering=0) as file:
            crc = 0
            while window := file.read(8 << 20):
                crc = google_crc32c.extend(crc, window)


def read_ours(folder: pathlib.Path) -> None:
    for run in read_logdir(folder):
        assert len(run.histograms) == 2 * LAYERS, run.files


def read_data_server(folder: pathlib.Path) -> None:
    import tensorboard_data_server

    command = [tensorboard_data_server.server_binary(), f"--logdir={folder}", "--reload=once"]
    command += ["--samples-per-plugin=scalars=all,histograms=all", "--port=0", "--die-after-stdin"]
    with subprocess.Popen(
        [*command, "--verbose", "--verbose"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if b"load cycle" in line.lower() and b"finished" in line.lower():
                break
        server.kill()


def read_accumulator(folder: pathlib.Path) -> None:
    from tensorboard.backend.event_processing import event_accumulator

    for path in sorted({path.parent for path in folder.rglob("*tfevents*")}):
        everything = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
        event_accumulator.EventAccumulator(str(path), everything).Reload()


def seconds(work: Callable[[pathlib.Path], None], folder: pathlib.Path) -> float:
    start = time.perf_counter()
    work(folder)
    return time.perf_counter() - start


def main(_: list[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(_FOLDER.value or temporary)
        for name in _ONLY.value:
            measure(name, write(folder, name, _SCALE.value))


def measure(name: str, folder: pathlib.Path) -> None:
    works = {"floor": read_floor, "bn_tb": read_ours}
    if _PEERS.value:
        works["data server"] = read_data_server
    times: dict[str, list[float]] = {work: [] for work in works}
    for _ in range(_ROUNDS.value):
        for work, function in works.items():
            times[work].append(seconds(function, folder))
    size = sum(path.stat().st_size for path in folder.rglob("*tfevents*"))
    floor = statistics.median(times["floor"])
    print(f"({name}) {size / 1e6:.0f} MB")
    for work in works:
        median = statistics.median(times[work])
        print(f"  {work:12} {median:8.3f} s  {median / floor:7.1f} x floor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak resident {peak:.0f} MB")


if __name__ == "__main__":
    app.run(main)
