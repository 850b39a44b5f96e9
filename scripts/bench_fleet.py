"""Measures what object storage, workers and the cache cost and save, as ratios in one run.

    python scripts/bench_fleet.py [--runs=200] [--megabytes=8] [--rounds=3]

(a) runs in an S3 server of moto's on this machine, judged from disk and from there, by one worker
and by two, and a second time with a cache. (b) 1,000 and ten times as many small runs on disk.
(c) verdicts of a hundred thousand runs that a cache knows, listed by a file system of one listing.
Programs run one after the other in each round; the medians over the rounds are compared. What the
server takes of the same processors stands beside.
"""

import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping

import numpy as np
from absl import app, flags

from bn_tb.diagnosis import Options
from bn_tb.fleet.cache import Cache
from bn_tb.fleet.judging import Task, experiments, judge
from bn_tb.sources.logdir import find_runs

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
# isort: split
from tests.builders import event_bytes as eb
from tests.builders import object_store

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has bytecode

RUNS = flags.DEFINE_integer("runs", 200, "Runs in the object store.", lower_bound=2)
MEGABYTES = flags.DEFINE_integer("megabytes", 8, "Size of each of them.", lower_bound=1)
SMALL = flags.DEFINE_integer("small", 1000, "Small runs; ten times as many follow.", lower_bound=1)
KNOWN = flags.DEFINE_integer("known", 100_000, "Runs that a cache knows.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds; medians are compared.", lower_bound=1)
PARTS = flags.DEFINE_list("only", ["a", "b", "c"], "Which parts to measure.")

LAYERS = 20
FEW = {"none": 20, "deps": 20}
SETTINGS = [(wiring, momentum) for wiring in ("none", "deps") for momentum in (0.9, 0.99, 0.999)]


def events(steps: int, layers: int, moving: bool) -> bytes:
    """Returns an event file of some layers with kernels and statistics of 64 channels."""
    random = np.random.default_rng(0)
    channels = random.normal(size=64)
    records = [eb.VERSION]
    for step in range(steps):
        values = [eb.scalar("loss", 1 / (step + 1))]
        for layer in range(layers):
            share = 1 - 0.9**step if moving else 0.0
            mean = (share * channels).tolist()
            variance = (1 - share + share * channels**2).tolist()
            kernel = (channels * 0.99**step).tolist()
            values.append(eb.histogram(f"layer{layer}/kernel", kernel))
            values.append(eb.histogram(f"layer{layer}/bn/moving_mean", mean))
            values.append(eb.histogram(f"layer{layer}/bn/moving_variance", variance))
        records.append(eb.summary(step, *values))
    return b"".join(records)


def steps_of(size: int, layers: int) -> dict[str, int]:
    """Returns how many steps make a file of a size; histograms that stay at 0 and 1 are short."""
    return {
        wiring: round(100 * size / len(events(100, layers, moving=wiring == "deps")))
        for wiring in FEW
    }


def name(number: int) -> str:
    """Returns the name of a run, with its settings."""
    wiring, momentum = SETTINGS[number % len(SETTINGS)]
    return f"wiring={wiring},momentum={momentum}/{number:06d}"


def write(folder: pathlib.Path, runs: int, steps: Mapping[str, int], layers: int) -> None:
    """Writes runs that are links to two files, one with as many steps as said for each wiring."""
    contents = {}
    for wiring, number in steps.items():
        contents[wiring] = folder / f"{wiring}.bytes"
        contents[wiring].write_bytes(events(number, layers, moving=wiring == "deps"))
    for number in range(runs):
        run = folder / "logs" / name(number)
        run.mkdir(parents=True)
        os.link(contents[SETTINGS[number % len(SETTINGS)][0]], run / "events.out.tfevents.1.host")


@dataclasses.dataclass(frozen=True)
class Used:
    """What a program took.

    Attributes:
      seconds: From its start to its end.
      processor: Seconds of processors, with those of its workers.
      server: Seconds of processors that this process, which serves the objects, took meanwhile.
      megabytes: Resident in its largest process.
    """

    seconds: float
    processor: float
    server: float
    megabytes: float


def analyze(*arguments: str) -> Used:
    """Runs `bn_tb.analyze`."""
    start, served = time.perf_counter(), time.process_time()
    command = [sys.executable, "-m", "bn_tb.analyze", "--fail_on=never", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Used(
        seconds=time.perf_counter() - start,
        processor=usage.ru_utime + usage.ru_stime,
        server=time.process_time() - served,
        megabytes=usage.ru_maxrss / 1e3,
    )


def measured(programs: dict[str, Callable[[], Used]]) -> dict[str, float]:
    """Runs programs in turns, prints and returns the median seconds of each."""
    rounds = [{name: run() for name, run in programs.items()} for _ in range(ROUNDS.value)]
    print(
        f"  {'load ' + format(os.getloadavg()[0], '.1f'):<30}      wall  processor  server  memory"
    )
    medians = {}
    for title in programs:
        of = {
            field.name: statistics.median(getattr(one[title], field.name) for one in rounds)
            for field in dataclasses.fields(Used)
        }
        medians[title] = of["seconds"]
        print(
            f"  {title:<30} {of['seconds']:7.2f} s {of['processor']:8.2f} s {of['server']:5.2f} s "
            f"{of['megabytes']:4.0f} MB",
            flush=True,
        )
    return medians


def ratio(text: str, value: float, most: float) -> None:
    """Prints a ratio and what it must not exceed."""
    print(f"  {text:<30} {value:9.3f} (at most {most:g})")


def object_storage(folder: pathlib.Path) -> None:
    """Measures (a)."""
    write(folder, RUNS.value, steps_of(MEGABYTES.value << 20, LAYERS), LAYERS)
    local = str(folder / "logs")
    print(f"(a) {RUNS.value} runs of {MEGABYTES.value} MB")
    with object_store.serving() as store:
        url = store.upload(folder / "logs", "sweep")
        options = folder / "options.json"
        options.write_text(json.dumps(store.options))
        there = (url, f"--storage_options={options}", "--format=csv")
        caches = itertools.count()

        def cached() -> Used:
            return analyze(*there, "--scheduler=local:1", f"--cache={folder}/cache{next(caches)}")

        seconds = measured(
            {
                "disk, one worker": lambda: analyze(local, "--format=csv", "--scheduler=local:1"),
                "S3, this process": lambda: analyze(*there),
                "S3, one worker": lambda: analyze(*there, "--scheduler=local:1"),
                "S3, two workers": lambda: analyze(*there, "--scheduler=local:2"),
                "S3, one worker, empty cache": cached,
                "S3, known to the cache": lambda: analyze(*there, f"--cache={folder}/cache0"),
            }
        )
    ratio("two workers / one", seconds["S3, two workers"] / seconds["S3, one worker"], 0.6)
    ratio("S3 / disk", seconds["S3, one worker"] / seconds["disk, one worker"], 2.5)
    known = seconds["S3, known to the cache"] / seconds["S3, one worker, empty cache"]
    ratio("second call with the cache / first", known, 0.05)


def small_runs(folder: pathlib.Path) -> None:
    """Measures (b)."""
    few, many = SMALL.value, 10 * SMALL.value
    print(f"(b) {few:,} and {many:,} runs of {len(events(20, 4, moving=True)) / 1e3:.0f} kB")
    for count in (few, many):
        (folder / str(count)).mkdir()
        write(folder / str(count), count, FEW, layers=4)
    seconds = measured(
        {
            f"{count:,} runs": lambda count=count: analyze(f"{folder}/{count}/logs")
            for count in (few, many)
        }
    )
    ratio("ten times as many", seconds[f"{many:,} runs"] / seconds[f"{few:,} runs"], 11)


def known_runs(folder: pathlib.Path) -> None:
    """Measures (c)."""
    print(f"(c) {KNOWN.value:,} runs that a cache knows")
    write(folder, min(KNOWN.value, len(SETTINGS)), FEW, layers=4)
    template = folder / "logs" / name(0) / "events.out.tfevents.1.host"
    for number in range(KNOWN.value):
        run = folder / "logs" / name(number)
        run.mkdir(parents=True, exist_ok=True)
        (run / template.name).touch()
    found = find_runs(str(folder / "logs"))
    judged = judge(Task(tuple(run for run in found if run.size)))
    rows = {os.path.dirname(row["run"]): row for row in judged}
    with Cache(str(folder / "cache"), Options()) as cache:
        cache.put(
            (part, [rows[os.path.dirname(run.name)] | {"run": run.name}])
            for part in experiments(found)
            for run in part.found
        )
    cached = (str(folder / "logs"), f"--cache={folder}/cache")
    seconds = measured(
        {
            "report": lambda: analyze(*cached),
            "table": lambda: analyze(*cached, "--format=csv"),
            "groups": lambda: analyze(*cached, "--format=csv", "--group_by=wiring"),
        }
    )
    ratio("slowest, seconds", max(seconds.values()), 60)


def main(_: list[str]) -> None:
    """Measures the parts that are wanted, each in a folder of its own."""
    for part, measure in {"a": object_storage, "b": small_runs, "c": known_runs}.items():
        if part in PARTS.value:
            with tempfile.TemporaryDirectory() as folder:
                measure(pathlib.Path(folder))


if __name__ == "__main__":
    app.run(main)
