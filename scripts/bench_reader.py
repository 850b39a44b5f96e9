"""Measures the reader against its floor and against TensorBoard's readers, on data it writes.

    python scripts/bench_reader.py [--only=a,b] [--rounds=5] [--folder=DIR]

Data: (a) TF1 style, 2,000 steps with one merged summary of 120 histograms and 2 scalars each, 40
of them batch-norm statistics, about 140 MB; (b) the same as TF2 writes it, one record per tag and
step, about 190 MB; (c) 1,000 small runs; (d) as (b) with ten times the steps. The floor is reading
the files in windows and one CRC-32C pass over them. All programs run one after the other in each
round, and the medians over the rounds are compared, so that a busy machine slows all of them.
EventAccumulator takes minutes: it reads the first twentieth, and its time is multiplied.
"""

import functools
import os
import pathlib
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

from bn_tb.events.masked_crc import masked_crc  # noqa: E402
from bn_tb.sources.logdir import read_logdir  # noqa: E402

_ONLY = flags.DEFINE_list("only", ["a", "b", "c", "d"], "Which data sets to measure.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds; medians are compared.", lower_bound=1)
_PEERS = flags.DEFINE_bool("peers", True, "Whether to measure TensorBoard's two readers.")
_FOLDER = flags.DEFINE_string("folder", "", "Keeps the data here and takes it from here.")

SAMPLE = 20  # EventAccumulator reads one part in so many
STEPS, LAYERS, WEIGHTS, CHANNELS = 2000, 20, 80, 18
RUNS, FILE = 1000, "events.out.tfevents.1600000000.host"
LIMITS = np.array(
    [-(1.1**k) for k in range(80, -141, -1)]
    + [1.1**k for k in range(-140, 81)]
    + [sys.float_info.max]
)
"""Bucket limits close to TF1's, whose growth factor is 1.1 (core/lib/histogram/histogram.cc)."""


def varint(number: int) -> bytes:
    """A varint."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def double(number: int, value: float) -> bytes:
    """A fixed64 field."""
    return varint(number << 3 | 1) + struct.pack("<d", value)


def record(payload: bytes) -> bytes:
    """A TFRecord."""
    length = struct.pack("<Q", len(payload))
    header = length + struct.pack("<I", masked_crc(length))
    return header + payload + struct.pack("<I", masked_crc(payload))


def event(step: int, values: list[bytes]) -> bytes:
    """A record with a summary of these values."""
    summary = b"".join(field(1, value) for value in values)
    return record(double(1, 1.6e9 + step) + b"\x10" + varint(step) + field(5, summary))


def channels(step: int, offset: float) -> np.ndarray:
    """Values of one statistic at a step: an average on its way to its goal."""
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
    """A TensorProto `[30, 3]` as TF2 writes it."""
    counts, edges = np.histogram(values, 30)
    rows = np.stack([edges[:-1], edges[1:], counts], axis=1).astype("<f8")
    shape = field(2, b"\x08\x1e") + field(2, b"\x08\x03")
    return b"\x08\x02" + field(2, shape) + field(4, rows.tobytes())


def tags() -> list[tuple[str, float]]:
    """Histogram tags, and what their values start from."""
    layers = [f"model/block{n}/batch_normalization" for n in range(LAYERS)]
    found = [(f"{layer}/moving_mean", 0.0) for layer in layers]
    found += [(f"{layer}/moving_variance", 1.0) for layer in layers]
    return found + [(f"model/activation{n}/output", 0.1) for n in range(WEIGHTS)]


def steps_of_tf1(steps: int) -> Iterator[bytes]:
    """One record per step."""
    yield record(double(1, 1.6e9) + field(3, b"brain.Event:2"))
    for step in range(steps):
        values = [
            field(1, tag.encode()) + field(5, histogram_proto(channels(step, offset)))
            for tag, offset in tags()
        ]
        for tag in ("loss", "accuracy"):
            values.append(field(1, tag.encode()) + b"\x15" + struct.pack("<f", 1 / (step + 1)))
        yield event(step, values)


def steps_of_tf2(steps: int, count: int | None = None) -> Iterator[bytes]:
    """One record per tag and step, of the first `count` histogram tags."""
    yield record(double(1, 1.6e9) + field(3, b"brain.Event:2"))
    histograms, scalars = (field(1, field(1, name)) for name in (b"histograms", b"scalars"))
    content = [
        (field(1, tag.encode()) + field(9, histograms), offset) for tag, offset in tags()[:count]
    ]
    for step in range(steps):
        tensors = {offset: histogram_tensor(channels(step, offset)) for _, offset in tags()}
        for head, offset in content:
            yield event(step, [head + field(8, tensors[offset])])
        for tag in ("loss", "accuracy"):
            tensor = b"\x08\x01" + field(2, b"") + field(4, struct.pack("<f", 1 / (step + 1)))
            yield event(step, [field(1, tag.encode()) + field(9, scalars) + field(8, tensor)])


def write(folder: pathlib.Path, name: str, steps: int) -> pathlib.Path:
    """Writes a data set if it is not there and returns its folder."""
    target = folder / f"{name}-{steps}"
    if target.exists():
        return target
    if name == "c":
        content = b"".join(steps_of_tf2(steps, 20))
        for run in range(RUNS):
            (target / f"run{run:04}").mkdir(parents=True)
            (target / f"run{run:04}" / FILE).write_bytes(content)
        return target
    target.mkdir(parents=True)
    with open(target / FILE, "wb") as file:
        for data in (steps_of_tf1 if name == "a" else steps_of_tf2)(steps):
            file.write(data)
    return target


def read_floor(folder: pathlib.Path) -> None:
    """Reads all files and takes their CRC-32C."""
    for path in sorted(folder.rglob("*tfevents*")):
        with open(path, "rb", buffering=0) as file:
            crc = 0
            while window := file.read(8 << 20):
                crc = google_crc32c.extend(crc, window)


def read_ours(folder: pathlib.Path) -> None:
    """Reads all runs as `bn_tb.analyze` does."""
    for run in read_logdir(folder, jobs=os.cpu_count() or 1):
        assert run.histograms and run.files[0].status == "ok", run.files


def read_data_server(folder: pathlib.Path, checksums: bool = True) -> None:
    """One load cycle of TensorBoard's Rust data server, all samples."""
    import tensorboard_data_server

    command = [tensorboard_data_server.server_binary(), f"--logdir={folder}", "--reload=once"]
    command += ["--samples-per-plugin=scalars=all,histograms=all", "--port=0"]
    command += ["--checksum"] if checksums else []
    with subprocess.Popen([*command, "--verbose", "--verbose"], stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if b"load cycle" in line.lower() and b"finished" in line.lower():
                break
        server.kill()


def read_accumulator(folder: pathlib.Path) -> None:
    """TensorBoard's Python reader, all samples; statistics as numpy arrays."""
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    for path in sorted({path.parent for path in folder.rglob("*tfevents*")}):
        everything = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
        accumulator = event_accumulator.EventAccumulator(str(path), everything).Reload()
        for tag in accumulator.Tags()["tensors"]:
            if "/moving_" in tag:
                for point in accumulator.Tensors(tag):
                    tensor_util.make_ndarray(point.tensor_proto)


def seconds(work: Callable[[pathlib.Path], None], folder: pathlib.Path) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work(folder)
    return time.perf_counter() - start


def peak_megabytes(folder: pathlib.Path) -> float:
    """Peak resident memory of a process that reads all runs and keeps them."""
    program = "import sys; from bn_tb.sources.logdir import read_logdir; "
    program += "runs = list(read_logdir(sys.argv[1])); print(open('/proc/self/status').read())"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout.split("VmHWM:")[1].split()[0]) / 1024


def main(_: list[str]) -> None:
    """Writes what is missing, measures, prints."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(_FOLDER.value or temporary)
        for name in _ONLY.value:
            steps = {"a": STEPS, "b": STEPS, "c": 10, "d": 10 * STEPS}[name]
            sample = write(folder, name, steps // SAMPLE) if name in "ab" else None
            measure(name, write(folder, name, steps), sample)


def measure(name: str, folder: pathlib.Path, sample: pathlib.Path | None) -> None:
    """Prints the table of one data set."""
    works: dict[str, tuple[Callable[[pathlib.Path], None], pathlib.Path, int]]
    works = {"floor": (read_floor, folder, 1), "bn_tb": (read_ours, folder, 1)}
    if _PEERS.value and name != "d":
        works["data server"] = (read_data_server, folder, 1)
        unchecked = functools.partial(read_data_server, checksums=False)
        works["without checksums"] = (unchecked, folder, 1)
        if sample:
            works["EventAccumulator"] = (read_accumulator, sample, SAMPLE)
    times: dict[str, list[float]] = {work: [] for work in works}
    for _ in range(_ROUNDS.value):
        for work, (function, path, parts) in works.items():
            times[work].append(seconds(function, path) * parts)
    size = sum(path.stat().st_size for path in folder.rglob("*tfevents*"))
    print(f"({name}) {size / 1e6:.0f} MB, peak resident {peak_megabytes(folder):.0f} MB")
    floor, ours = (statistics.median(times[work]) for work in ("floor", "bn_tb"))
    for work, measured in times.items():
        median = statistics.median(measured)
        print(
            f"  {work:17} {median:9.3f} s {median / floor:8.1f} x floor {median / ours:7.1f} x ours"
        )


if __name__ == "__main__":
    app.run(main)
