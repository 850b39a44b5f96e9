"""Measures what judging checkpoints costs, beside their frameworks, as ratios in one run.

    python scripts/bench_checkpoints.py [--megabytes=2000] [--checkpoints=500] [--rounds=3]

(a) A large checkpoint of each format, written by its framework: judged, and loaded whole. Of
TensorFlow also the tensors that are judged, read by `tf.train.load_checkpoint`. (b) Many
checkpoints of one run, with the state of an optimizer. Each measurement has a process of its own,
all of them in turns; imports do not count. The fastest of the rounds are compared.
"""

import concurrent.futures
import importlib
import multiprocessing
import os
import pathlib
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from absl import app, flags

MEGABYTES = flags.DEFINE_integer("megabytes", 2000, "Size of a large checkpoint.", lower_bound=10)
CHECKPOINTS = flags.DEFINE_integer("checkpoints", 500, "Checkpoints of one run.", lower_bound=2)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds; the fastest count.", lower_bound=1)
PARTS = flags.DEFINE_list("only", ["a", "b"], "Which parts to measure.")
FOLDER = flags.DEFINE_string("folder", None, "Where to write, by default where the system does.")

LAYERS = 53  # of ResNet-50
CHANNELS = 512
STATISTICS = ("moving_mean", "moving_variance", "gamma", "beta")
TORCH = dict(zip(STATISTICS, ("running_mean", "running_var", "weight", "bias"), strict=True))

MOST_SHARE = 0.01  # of the bytes
MOST_TIME = 1 / 20  # of loading all of it
MOST_SECONDS = 2.0  # for 500 checkpoints
MOST_MEMORY = 300  # MB

Measured = tuple[float, int, float]
"""Seconds, bytes that the process read, and MB resident at most."""


def small(layer: int, statistic: str) -> np.ndarray:
    """Returns the values of one statistic of a trained layer."""
    values = np.random.default_rng(layer).normal(0.1, 0.05, CHANNELS).astype(np.float32)
    return values + np.float32(statistic in ("moving_variance", "gamma"))


def kernel(megabytes: int) -> np.ndarray:
    """Returns a weight that makes up one layer's share of a checkpoint."""
    rows = megabytes * 2**20 // (LAYERS * CHANNELS * 4)
    return np.ones((rows, CHANNELS), np.float32)


def write_tensorflow(path: str, megabytes: int) -> None:
    """Writes a V2 bundle with the names of TensorFlow 1."""
    tf = importlib.import_module("tensorflow")
    large = tf.constant(kernel(megabytes))
    named = {"global_step": tf.constant(98001, tf.int64)}
    for layer in range(LAYERS):
        named[f"conv{layer}/kernel"] = large
        for one in STATISTICS:
            named[f"conv{layer}/bn/{one}"] = tf.constant(small(layer, one))
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=list(named),
        shape_and_slices=[""] * len(named),
        tensors=list(named.values()),
    )


def state(megabytes: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the entries of a state_dict."""
    for layer in range(LAYERS):
        yield f"conv{layer}.weight", kernel(megabytes)
        yield from ((f"bn{layer}.{name}", small(layer, one)) for one, name in TORCH.items())
        yield f"bn{layer}.num_batches_tracked", np.array(98001)


def write_torch(path: str, megabytes: int) -> None:
    """Writes what torch.save does."""
    torch = importlib.import_module("torch")
    torch.save({name: torch.from_numpy(one) for name, one in state(megabytes)}, path)


def write_safetensors(path: str, megabytes: int) -> None:
    """Writes what Hugging Face's library does."""
    library = importlib.import_module("safetensors.numpy")
    library.save_file(dict(state(megabytes)), path)


def load_tensorflow(path: str) -> Callable[[], object]:
    """Returns what reads all tensors."""
    tf = importlib.import_module("tensorflow")

    def load() -> list[np.ndarray]:
        reader = tf.train.load_checkpoint(path)
        return [reader.get_tensor(name) for name in reader.get_variable_to_shape_map()]

    return load


def same_tensors() -> list[str]:
    """Returns the names of what is judged."""
    layers = [f"conv{layer}/bn/{one}" for layer in range(LAYERS) for one in STATISTICS]
    return ["global_step", *layers]


def load_statistics(path: str) -> Callable[[], object]:
    """Returns what reads the same tensors as we do, without judging them."""
    tf = importlib.import_module("tensorflow")
    names = same_tensors()

    def load() -> list[np.ndarray]:
        reader = tf.train.load_checkpoint(path)
        return [reader.get_tensor(name) for name in names]

    return load


def read_statistics(path: str) -> Callable[[], object]:
    """Returns what reads them with bn_tb, without judging them."""
    formats = importlib.import_module("bn_tb.checkpoints.formats")
    local_file = importlib.import_module("bn_tb.files.local").LocalFile
    names = same_tensors()

    def load() -> list[np.ndarray]:
        data = local_file(f"{path}.data-00000-of-00001")
        found = formats.read(local_file(f"{path}.index"), lambda at, count: data)
        return [found.tensors[name].array() for name in names]

    return load


def load_torch(path: str) -> Callable[[], object]:
    """Returns what torch.load does."""
    torch = importlib.import_module("torch")
    return lambda: torch.load(path, map_location="cpu")


def load_safetensors(path: str) -> Callable[[], object]:
    """Returns what the library does."""
    library = importlib.import_module("safetensors.numpy")
    return lambda: library.load_file(path)


def judge(path: str) -> Callable[[], object]:
    """Returns what judges a checkpoint, or a folder of them."""
    bn_tb = importlib.import_module("bn_tb")
    for reader in ("formats", "snapshot"):
        importlib.import_module(f"bn_tb.checkpoints.{reader}")
    bn_tb.diagnose([])

    def run() -> str:
        verdict = bn_tb.diagnose(path).verdict
        if verdict not in ("healthy", "insufficient"):
            raise SystemExit(f"{path}: {verdict}")
        return str(verdict)

    return run


def bytes_read() -> int:
    """Returns the bytes that this process has read; 0 where the system does not count them."""
    try:
        with open("/proc/self/io", encoding="ascii") as file:
            return int(file.readline().split()[1])
    except OSError:
        return 0


def in_process(make: Callable[[str], Callable[[], object]], path: str) -> Measured:
    """Measures one call; imports are over by then."""
    run = make(path)
    before, start = bytes_read(), time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds, bytes_read() - before, used


def alone(function: Callable[..., object], *arguments: object) -> object:
    """Calls a function in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def measured(programs: dict[str, Callable[[str], Callable[[], object]]], path: str) -> dict:
    """Measures programs in turns; returns the fastest call of each, and prints them."""
    rounds = [
        {name: alone(in_process, make, path) for name, make in programs.items()}
        for _ in range(ROUNDS.value)
    ]
    best = {name: min(one[name] for one in rounds) for name in programs}
    for name, (seconds, read, memory) in best.items():
        print(f"  {name:<42} {seconds:8.3f} s {read / 1e6:9.2f} MB read {memory:6.0f} MB resident")
    return best


def bound(text: str, value: float, most: float) -> None:
    """Prints a figure and what it must not exceed."""
    print(f"  {text:<42} {value:8.4f}   (at most {most:g})")


def large(folder: pathlib.Path) -> None:
    """Measures (a)."""
    formats = {
        "TensorFlow": (write_tensorflow, load_tensorflow, "model.ckpt-98001"),
        "PyTorch": (write_torch, load_torch, "model.pth"),
        "safetensors": (write_safetensors, load_safetensors, "model.safetensors"),
    }
    for title, (write, load, name) in formats.items():
        place = folder / "large"
        place.mkdir()
        alone(write, str(place / name), MEGABYTES.value)
        size = sum(file.stat().st_size for file in place.iterdir())
        print(f"(a) {title}, {size / 1e6:.0f} MB")
        programs = {"bn_tb, judged": judge, "all of it": load}
        if title == "TensorFlow":
            programs |= {
                "bn_tb, statistics read": read_statistics,
                "tf.train.load_checkpoint, the same": load_statistics,
            }
        best = measured(programs, str(place / name))
        ours, whole = best["bn_tb, judged"], best["all of it"]
        bound("share of the bytes", ours[1] / size, MOST_SHARE)
        bound("time, of that for all of it", ours[0] / whole[0], MOST_TIME)
        bound("MB resident", ours[2], MOST_MEMORY)
        if title == "TensorFlow":
            same = best["tf.train.load_checkpoint, the same"][0]
            bound("time, of TensorFlow's", best["bn_tb, statistics read"][0] / same, 1)
        shutil.rmtree(place)


def write_many(folder: str, count: int) -> None:
    """Writes checkpoints of a net of 20 layers of batch norm and its optimizer."""
    torch = importlib.import_module("torch")
    layers = [
        part
        for _ in range(20)
        for part in (torch.nn.Conv2d(64, 64, 1, bias=False), torch.nn.BatchNorm2d(64))
    ]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(count):
        optimizer.zero_grad()
        model(torch.randn(16, 64, 4, 4)).square().mean().backward()
        optimizer.step()
        saved = {"epoch": epoch, "state_dict": model.state_dict()}
        saved["optimizer"] = optimizer.state_dict()
        torch.save(saved, os.path.join(folder, f"epoch_{epoch}.pth"))


def many(folder: pathlib.Path) -> None:
    """Measures (b)."""
    place = folder / "many"
    place.mkdir()
    alone(write_many, str(place), CHECKPOINTS.value)
    size = sum(file.stat().st_size for file in place.iterdir())
    print(f"(b) {CHECKPOINTS.value} checkpoints of one run, PyTorch, {size / 1e6:.0f} MB")
    (ours,) = measured({"bn_tb, judged": judge}, str(place)).values()
    bound("seconds", ours[0], MOST_SECONDS)
    bound("MB resident", ours[2], MOST_MEMORY)
    shutil.rmtree(place)


def main(_: list[str]) -> None:
    """Measures the parts wanted."""
    with tempfile.TemporaryDirectory(dir=FOLDER.value) as name:
        for part, run in {"a": large, "b": many}.items():
            if part in PARTS.value:
                run(pathlib.Path(name))


if __name__ == "__main__":
    app.run(main)
