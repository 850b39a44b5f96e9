"""Files as they lie about: other writers, JAX-like tags, restarts and damage."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.lab.scenario import Framework, Scenario

tbx: Any = Framework("tensorboardX")

CHANNELS = 6
MOMENTUM = 0.9


def _averages(steps: int, seed: int = 0, first: int = 1) -> Any:
    """Yields step, mean `[6]`, variance `[6]` and a weight `[6]` of a layer that is trained."""
    noise = np.random.default_rng(seed)
    mean, variance, weight = np.zeros(CHANNELS), np.ones(CHANNELS), noise.normal(size=CHANNELS)
    level, spread = noise.normal(0, 3, CHANNELS), noise.uniform(2, 9, CHANNELS)
    for step in range(first, first + steps):
        batch = level + np.sqrt(spread) * noise.standard_normal((32, CHANNELS))
        mean = MOMENTUM * mean + (1 - MOMENTUM) * batch.mean(0)
        variance = MOMENTUM * variance + (1 - MOMENTUM) * batch.var(0)
        weight = weight - 0.01 * noise.normal(size=CHANNELS)
        yield step, mean, variance, weight


def _tagged(
    mean_tag: str, variance_tag: str, weight_tag: str, kept: bool = True
) -> Callable[[str], None]:
    """Returns a scenario under these tags; statistics that are not kept stay at 0 and 1."""

    def log(logdir: str) -> None:
        writer = tbx.SummaryWriter(logdir)
        for step, mean, variance, weight in _averages(60):
            state = (mean, variance) if kept else (np.zeros(CHANNELS), np.ones(CHANNELS))
            for tag, value in zip((mean_tag, variance_tag), state, strict=True):
                writer.add_histogram(tag, value, step)
            writer.add_histogram(weight_tag, weight, step)
            writer.add_scalar("train_loss", 1.0 / step, step)
        writer.close()

    return log


FLAX = (
    "batch_stats/BatchNorm_0/mean",
    "batch_stats/BatchNorm_0/var",
    "params/BatchNorm_0/scale",
)
HAIKU = (
    "resnet/~/batchnorm/~/mean_ema/average",
    "resnet/~/batchnorm/~/var_ema/average",
    "resnet/~/batchnorm/scale",
)
TENSORPACK = ("conv0/bn/mean/EMA", "conv0/bn/variance/EMA", "conv0/bn/gamma")


def _layer(logdir: str, steps: int = 60, **options: Any) -> pathlib.Path:
    """Logs a healthy layer and returns its event file."""
    writer = tbx.SummaryWriter(logdir, filename_suffix=options.pop("suffix", ""))
    for step, mean, variance, weight in _averages(steps, **options):
        writer.add_histogram("bn1.running_mean", mean, step)
        writer.add_histogram("bn1.running_var", variance, step)
        writer.add_histogram("bn1.weight", weight, step)
        writer.add_scalar("train_loss", 1.0 / step, step)
    path = pathlib.Path(writer.file_writer.event_writer._ev_writer._file_name)
    writer.close()
    return path


def _unfinished(logdir: str) -> None:
    path = _layer(logdir)
    path.write_bytes(path.read_bytes()[:-7])


def _flipped(logdir: str) -> None:
    """A bit of the data in the middle is wrong; the records before it are good."""
    path = _layer(logdir)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _not_an_event_file(logdir: str) -> None:
    path = _layer(logdir)
    other = path.with_name(f"{path.name.replace('.tfevents.', '.tfevents.1')}.copy")
    other.write_bytes(b"<html>404: Not Found</html>" * 20)


def _empty_file(logdir: str) -> None:
    path = _layer(logdir)
    path.with_name(f"{path.name}.empty").touch()


def _one_snapshot(logdir: str) -> None:
    """Histograms are written at step 0 only, before the first update."""
    writer = tbx.SummaryWriter(logdir)
    writer.add_histogram("bn1.running_mean", np.zeros(CHANNELS), 0)
    writer.add_histogram("bn1.running_var", np.ones(CHANNELS), 0)
    for step in range(1, 50):
        writer.add_scalar("train_loss", 1.0 / step, step)
    writer.close()


def _same_step_twice(logdir: str) -> None:
    """The same checkpoint is evaluated twice at one step."""
    for number in range(2):
        _layer(os.path.join(logdir), steps=1, first=300, suffix=f".{number}")


def _two_writers(logdir: str) -> None:
    """Two processes log the same tags into one folder."""
    for seed in range(2):
        _layer(logdir, seed=seed, suffix=f".{seed}")


def _before_and_after(logdir: str) -> None:
    """Two snapshots: before training and after it."""
    writer = tbx.SummaryWriter(logdir)
    values = list(_averages(100))
    for step, (mean, variance) in (
        (0, (np.zeros(CHANNELS), np.ones(CHANNELS))),
        (100, values[-1][1:3]),
    ):
        writer.add_histogram("bn1.running_mean", mean, step)
        writer.add_histogram("bn1.running_var", variance, step)
        writer.add_histogram("bn1.weight", values[max(step - 1, 0)][3], step)
    writer.close()


def _idle(logdir: str) -> None:
    """Weights are logged and constant, and so are statistics at 0 and 1: nothing trained."""
    writer = tbx.SummaryWriter(logdir)
    weight = np.random.default_rng(0).normal(size=CHANNELS)
    for step in range(1, 30):
        writer.add_histogram("bn1.running_mean", np.zeros(CHANNELS), step)
        writer.add_histogram("bn1.running_var", np.ones(CHANNELS), step)
        writer.add_histogram("bn1.weight", weight, step)
    writer.close()


def _forecast_features(logdir: str) -> None:
    """A data pipeline's moving means of sales: features, not statistics."""
    noise = np.random.default_rng(0)
    writer = tbx.SummaryWriter(logdir)
    for step in range(1, 30):
        for window in (0, 13):
            writer.add_histogram(f"features/moving_mean_{window}", noise.normal(size=50), step)
        writer.add_scalar("running_mean_episode_length", float(step), step)
    writer.close()


HEALTHY = ("healthy",)

SCENARIOS = (
    Scenario("flax_state_kept", _tagged(*FLAX), "batch_stats as Flax names them.", HEALTHY),
    Scenario(
        "flax_state_dropped",
        _tagged(*FLAX, kept=False),
        "apply(..., mutable=['batch_stats']) without keeping what it returns.",
        ("stale",),
        must=("BN101",),
    ),
    Scenario("haiku_state_kept", _tagged(*HAIKU), "Averages as Haiku names them.", HEALTHY),
    Scenario(
        "haiku_state_dropped",
        _tagged(*HAIKU, kept=False),
        "The state that apply returns is thrown away.",
        ("stale",),
        must=("BN101",),
    ),
    Scenario("tensorpack", _tagged(*TENSORPACK), "Averages as tensorpack names them.", HEALTHY),
    Scenario(
        "unfinished_tail",
        _unfinished,
        "A run that is still being written, or was killed.",
        HEALTHY,
        must=("BN903",),
    ),
    Scenario(
        "empty_second_file",
        _empty_file,
        "A second, empty event file, as a crash at start leaves.",
        HEALTHY,
        must=("BN903",),
    ),
    Scenario(
        "flipped_bit",
        _flipped,
        "A flipped bit ends the file in the middle; what precedes it is healthy.",
        ("suspect",),
        must=("BN903",),
    ),
    Scenario(
        "not_an_event_file",
        _not_an_event_file,
        "A web server's error page was saved as an event file beside a good one.",
        ("suspect",),
        must=("BN903",),
    ),
    Scenario(
        "one_snapshot_at_0_and_1",
        _one_snapshot,
        "One snapshot before the first update proves nothing.",
        ("insufficient",),
        must=("BN902",),
    ),
    Scenario(
        "one_step_twice",
        _same_step_twice,
        "Two snapshots at one step prove nothing.",
        ("insufficient",),
        must=("BN902",),
    ),
    Scenario(
        "two_writers",
        _two_writers,
        "Two processes write one run: steps go back, neither is at fault.",
        HEALTHY,
        must=("BN905",),
    ),
    Scenario(
        "before_and_after",
        _before_and_after,
        "Two snapshots, and all moved: whether all the way after 100 steps, nothing tells.",
        ("insufficient",),
    ),
    Scenario(
        "nothing_trained",
        _idle,
        "Weights are logged and bit-constant: the run does not train, so nothing is stale.",
        ("insufficient", "frozen"),
    ),
    Scenario(
        "forecast_features",
        _forecast_features,
        "moving_mean_13 of a sales forecast is a feature.",
        ("no-batch-norm",),
    ),
)
