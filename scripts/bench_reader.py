"""Measures the reader against its floor and against TensorBoard's readers, on data it writes.

    python scripts/bench_reader.py [--only=a,b] [--rounds=5] [--folder=DIR]

Data: (a) TF1 style, 2,000 steps with one merged summary of 120 histograms and 2 scalars each, 40
of them batch-norm statistics, about 140 MB; (b) the same as TF2 writes it, one record per tag and
step, about 190 MB; (ea) and (eb) the same with weights, which are decoded, in place of activations,
which are not; (c) 1,000 small runs; (d) as (b) with ten times the steps. The floor is reading the
files in windows and one CRC-32C pass over them. All programs run one after the other in each round,
and the medians over the rounds are compared, so that a busy machine slows all of them; processor
time says more where others use the machine too. EventAccumulator takes minutes: it reads the first
twentieth, and its time is multiplied. The last row, `whole process`, is `bn_tb.analyze` on one of
the small runs, beside Python that imports numpy alone, which is its floor.
"""

import functools
import multiprocessing
import os
import pathlib
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import google_crc32c
import numpy as np
from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import bn_tb  # noqa: E402
from bn_tb.events.masked_crc import masked_crc  # noqa: E402
from bn_tb.sources.logdir import read_logdir  # noqa: E402

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has bytecode

_ONLY = flags.DEFINE_list(
    "only", ["a", "b", "ea", "eb", "c", "d", "whole"], "Which data sets to measure."
)
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


def tags(weights: bool) -> list[tuple[str, float]]:
    """Histogram tags, and what their values start from."""
    layers = [f"model/block{n}/batch_normalization" for n in range(LAYERS)]
    found = [(f"{layer}/moving_mean", 0.0) for layer in layers]
    found += [(f"{layer}/moving_variance", 1.0) for layer in layers]
    others = "model/block{}/conv/kernel" if weights else "model/activation{}/output"
    return found + [(others.format(n), 0.1) for n in range(WEIGHTS)]


def steps_of_tf1(steps: int, weights: bool) -> Iterator[bytes]:
    """One record per step."""
    yield record(double(1, 1.6e9) + field(3, b"brain.Event:2"))
    for step in range(steps):
        values = [
            field(1, tag.encode()) + field(5, histogram_proto(channels(step, offset)))
            for tag, offset in tags(weights)
        ]
        for tag in ("loss", "accuracy"):
            values.append(field(1, tag.encode()) + b"\x15" + struct.pack("<f", 1 / (step + 1)))
        yield event(step, values)


def steps_of_tf2(steps: int, weights: bool, count: int | None = None) -> Iterator[bytes]:
    """One record per tag and step, of the first `count` histogram tags."""
    yield record(double(1, 1.6e9) + field(3, b"brain.Event:2"))
    histograms, scalars = (field(1, field(1, name)) for name in (b"histograms", b"scalars"))
    content = [
        (field(1, tag.encode()) + field(9, histograms), offset)
        for tag, offset in tags(weights)[:count]
    ]
    for step in range(steps):
        tensors = {offset: histogram_tensor(channels(step, offset)) for _, offset in tags(weights)}
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
        content = b"".join(steps_of_tf2(steps, False, 20))
        for run in range(RUNS):
            (target / f"run{run:04}").mkdir(parents=True)
            (target / f"run{run:04}" / FILE).write_bytes(content)
        return target
    target.mkdir(parents=True)
    with open(target / FILE, "wb") as file:
        records = steps_of_tf1 if name.endswith("a") else steps_of_tf2
        for data in records(steps, name.startswith("e")):
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


def judge_ours(folder: pathlib.Path) -> None:
    """Reads and judges all runs as `bn_tb.analyze` does."""
    assert bn_tb.diagnose(read_logdir(folder, jobs=os.cpu_count() or 1))


def analyze(file: pathlib.Path) -> None:
    """The command on one small run, as a process of its own."""
    command = [sys.executable, "-m", "bn_tb.analyze", str(file)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False)


def import_numpy(_: pathlib.Path) -> None:
    """What no program that uses numpy can do without."""
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)


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


class Spent(NamedTuple):
    """Seconds that something took: on the clock, and of all processors."""

    wall: float
    processor: float


def processor_seconds() -> float:
    """What this process and those that it waited for have used so far."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(own.ru_utime + own.ru_stime for own in map(resource.getrusage, kinds))


def spent(work: Callable[[pathlib.Path], None], folder: pathlib.Path, parts: int) -> Spent:
    """Measures one call, with the processes that it starts and waits for; times `parts`."""
    start, before = time.perf_counter(), processor_seconds()
    work(folder)
    for child in multiprocessing.active_children():
        child.join()
    processor = processor_seconds() - before
    return Spent((time.perf_counter() - start) * parts, processor * parts)


def peak_megabytes(folder: pathlib.Path) -> float:
    """Peak resident memory of a process that reads all runs and keeps them."""
    program = "import sys; from bn_tb.sources.logdir import read_logdir; "
    program += "runs = list(read_logdir(sys.argv[1])); print(open('/proc/self/status').read())"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout.split("VmHWM:")[1].split()[0]) / 1024


Work = tuple[Callable[[pathlib.Path], None], pathlib.Path, int]
"""What to call, with which folder, and by what to multiply its time."""


def main(_: list[str]) -> None:
    """Writes what is missing, measures, prints."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(_FOLDER.value or temporary)
        for name in _ONLY.value:
            if name == "whole":
                small = next(write(folder, "c", 10).rglob("*tfevents*"))
                compare(
                    "whole process",
                    {"floor": (import_numpy, small, 1), "bn_tb": (analyze, small, 1)},
                )
                continue
            steps = {"c": 10, "d": 10 * STEPS}.get(name, STEPS)
            target = write(folder, name, steps)
            sample = write(folder, name, steps // SAMPLE) if name in "ab" else None
            size = sum(path.stat().st_size for path in target.rglob("*tfevents*"))
            peak = peak_megabytes(target)
            compare(
                f"({name}) {size / 1e6:.0f} MB, peak resident {peak:.0f} MB",
                works(name, target, sample),
            )


def works(name: str, folder: pathlib.Path, sample: pathlib.Path | None) -> dict[str, Work]:
    """Returns what is measured on a data set."""
    found: dict[str, Work] = {"floor": (read_floor, folder, 1), "bn_tb": (read_ours, folder, 1)}
    if name == "c":
        found["bn_tb, judging too"] = (judge_ours, folder, 1)
    if _PEERS.value and name != "d":
        found["data server"] = (read_data_server, folder, 1)
        unchecked = functools.partial(read_data_server, checksums=False)
        found["without checksums"] = (unchecked, folder, 1)
        if sample:
            found["EventAccumulator"] = (read_accumulator, sample, SAMPLE)
    return found


def compare(title: str, works: dict[str, Work]) -> None:
    """Prints a table of what some programs take, beside the first one and ours."""
    times: dict[str, list[Spent]] = {work: [] for work in works}
    for _ in range(_ROUNDS.value):
        for work, (function, path, parts) in works.items():
            times[work].append(spent(function, path, parts))
    print(f"{title}; load {os.getloadavg()[0]:.1f}")
    head = f"{'seconds':>9} {'x floor':>8} {'x ours':>7}"
    print(f"  {'':18} {head}   processor: {head}")
    medians = {
        work: Spent(*map(statistics.median, zip(*each, strict=True)))
        for work, each in times.items()
    }
    floor, ours = medians["floor"], medians["bn_tb"]
    for work, own in medians.items():
        wall, processor = (
            f"{own[at]:9.3f} {own[at] / floor[at]:8.1f} {own[at] / ours[at]:7.2f}" for at in (0, 1)
        )
        print(f"  {work:18} {wall}   {'':10} {processor}")


if __name__ == "__main__":
    app.run(main)
