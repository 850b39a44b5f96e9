"""What the tensors of a tag are is decided by each run for itself, as TensorBoard decides it."""

import dataclasses
import random

import numpy as np
import pytest

from bn_tb.sources.logdir import find_runs, read_logdir, read_run
from tests.builders import event_bytes as eb


def tensor_scalar(tag, value, metadata=True):
    proto = eb.field(1, 1) + eb.field(5, np.float32(value).tobytes())
    if metadata:
        return eb.tensor(tag, "scalars", proto)
    return eb.field(1, tag.encode()) + eb.field(8, proto)


def written(kind, steps=6):
    """Returns one of three ways to log the same tags."""
    events = [eb.VERSION]
    for step in range(steps):
        if kind == "proto":
            values = [eb.histogram("bn/moving_mean", [step, 1.0]), eb.scalar("loss", step)]
        elif kind == "tensor":
            values = [
                eb.tensor_histogram("bn/moving_mean", [(0.0, 1.0, 2.0)]),
                tensor_scalar("loss", step),
            ]
        else:
            values = [eb.tensor("loss", "images", eb.field(1, 7)), eb.scalar("bn/moving_mean", 1)]
        events.append(eb.summary(step, *values))
    return b"".join(events)


def series(run):
    return {
        tag: [getattr(one, field.name).tolist() for field in dataclasses.fields(one)[:3]]
        for tag, one in {**run.scalars, **run.histograms}.items()
    }


@pytest.mark.parametrize("seed", range(10))
def test_runs_of_any_writers_read_together_are_what_each_is_alone(tmp_path, seed):
    draw = random.Random(seed)
    for number in range(8):
        kind = draw.choice(["proto", "tensor", "other"])
        eb.write(tmp_path / f"run{number}", written(kind, draw.randint(1, 9)))
    together = {run.name: series(run) for run in read_logdir(tmp_path)}
    alone = {found.name: series(read_run(found)) for found in find_runs(tmp_path)}
    assert together == alone


def test_a_tag_that_a_tensor_writer_goes_on_with_keeps_all_its_points(tmp_path):
    data = eb.VERSION + eb.summary(0, eb.scalar("loss", 9.0))
    data += b"".join(eb.summary(step, tensor_scalar("loss", step)) for step in range(1, 10))
    (run,) = read_logdir(eb.write(tmp_path, data))
    assert run.scalars["loss"].values.tolist() == [9.0, *range(1, 10)]


def test_tensors_before_the_metadata_of_their_tag_count_too(tmp_path):
    values = [tensor_scalar("loss", step, metadata=step == 3) for step in range(6)]
    data = b"".join(eb.summary(step, value) for step, value in enumerate(values))
    (run,) = read_logdir(eb.write(tmp_path, eb.VERSION + data))
    assert run.scalars["loss"].values.tolist() == [0, 1, 2, 3, 4, 5]


def test_of_a_value_that_is_set_twice_the_last_counts(tmp_path):
    twice = eb.scalar("loss", 1.0) + tensor_scalar("loss", 2.0)
    (run,) = read_logdir(eb.write(tmp_path, eb.VERSION + eb.summary(1, twice)))
    assert run.scalars["loss"].values.tolist() == [2.0]


def test_a_value_that_cannot_be_decoded_costs_itself_alone(tmp_path):
    bad = eb.tensor("bn/moving_mean", "histograms", eb.field(1, 2) + eb.field(4, b"1234567"))
    data = eb.VERSION + eb.summary(5, bad, eb.scalar("loss", 0.5), eb.histogram("bn/gamma", [1.0]))
    (run,) = read_logdir(eb.write(tmp_path, data))
    assert run.scalars["loss"].values.tolist() == [0.5] and "bn/gamma" in run.histograms
    assert "value left out" in run.files[0].detail and run.files[0].status == "corrupt"
