"""Thinned series: bounded, and no fact that a verdict rests on is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bn_tb.events import points
from bn_tb.events.points import PointLog
from bn_tb.sources.logdir import find_runs, read_run
from tests.builders import event_bytes as eb

CAP = 200


def facts(steps, identity, values):
    """What rules ask of a series, beside values between two points."""
    finite = np.isfinite(values)
    changed = np.flatnonzero(identity[1:] != identity[:-1]) + 1
    moving = np.concatenate([[False], identity[1:] != identity[:-1]])
    turns = np.flatnonzero(moving[1:] != moving[:-1]) + 1
    return {
        "first": (steps[0], identity[0]),
        "last": (steps[-1], identity[-1]),
        "first change": steps[changed[0]] if len(changed) else None,
        "last change": steps[changed[-1]] if len(changed) else None,
        "turns between constant and moving": [(steps[t], bool(moving[t])) for t in turns],
        "minimum": np.nanmin(np.where(finite, values, np.nan), initial=np.inf),
        "maximum": np.nanmax(np.where(finite, values, np.nan), initial=-np.inf),
        "non-finite stretches": [steps[i] for i in np.flatnonzero(finite[1:] != finite[:-1]) + 1],
        "first negative": steps[np.argmax(values < 0)] if (values < 0).any() else None,
        "restarts": [
            (steps[i], steps[i + 1]) for i in np.flatnonzero(steps[1:] < steps[:-1])
        ],
    }  # fmt: skip


@st.composite
def series(draw):
    """Stretches of constant, moving, alternating, non-finite values, with restarts."""
    kinds = st.sampled_from(["constant", "moving", "alternating", "nan", "restart", "negative"])
    values, steps, level = [], [], 1.0
    for kind in draw(st.lists(kinds, min_size=1, max_size=8)):
        length = draw(st.integers(1, 900))
        if kind == "restart" and steps:
            steps_from = max(steps[-1] - length, 0)
        else:
            steps_from = steps[-1] + 1 if steps else 0
        steps += range(steps_from, steps_from + length)
        if kind in ("constant", "restart"):
            stretch = np.full(length, level)
        elif kind == "alternating":
            stretch = np.where(np.arange(length) % 2, level, level + 1)
        elif kind == "nan":
            stretch = np.full(length, np.nan)
        else:
            stretch = level + np.cumsum(np.random.default_rng(length).random(length)) / 100
            stretch = -stretch if kind == "negative" else stretch
            level = abs(float(stretch[-1]))
        values += stretch.tolist()
    return np.array(steps), np.array(values)


def logged(steps, values, max_points, window):
    log = PointLog(max_points)
    for start in range(0, len(steps), window):
        some = slice(start, start + window)
        value = values[some]
        log.add(
            {
                "tag": np.zeros(len(value), np.int64),
                "step": steps[some],
                "identity": value.view(np.uint64),
                "measures": value[:, None],
            }
        )
    ((_, columns, thinned),) = log.series()
    return columns, thinned


@settings(max_examples=150, deadline=None)
@given(series(), st.integers(1, 700))
def test_facts_that_verdicts_rest_on_survive_thinning(made, window):
    steps, values = made
    columns, thinned = logged(steps, values, 2 * CAP, window)
    kept, values_kept = columns["step"], columns["measures"][0]
    assert thinned == (len(kept) < len(steps))
    whole = facts(steps, values.view(np.uint64), values)
    assert facts(kept, columns["identity"], values_kept) == whole


def test_memory_is_bounded_also_where_every_point_is_an_edge():
    values = np.repeat(np.arange(100_000.0), 2)  # moves, rests, moves, rests ...
    columns, thinned = logged(np.arange(200_000), values, 4 * CAP, 1000)
    assert thinned and len(columns["step"]) <= 12 * CAP
    assert columns["step"][[0, -1]].tolist() == [0, 199_999]


def test_kept_points_cover_the_run_evenly_and_in_bursts():
    values = np.sin(np.arange(100_000.0))
    columns, _ = logged(np.arange(100_000), values, 4 * CAP, 777)
    kept = columns["step"]
    assert 2 * CAP / 3 < len(kept) <= 4 * CAP
    assert np.mean(np.diff(kept) == 1) > 0.7
    assert kept[: CAP // 4].tolist() == list(range(CAP // 4))
    assert np.diff(kept).max() < 100_000 / 8


@pytest.mark.parametrize("tags", [1, 50])
def test_long_runs_are_thinned_per_tag_and_say_so(tags, tmp_path):
    steps = 40_000 // tags
    data = b"".join(
        eb.summary(step, *[eb.scalar(f"l{n}/moving_mean", step) for n in range(tags)])
        for step in range(steps)
    )
    (found,) = find_runs(eb.write(tmp_path, data))
    run = read_run(found, max_points=10_000)
    for series in (*run.scalars.values(), *run.histograms.values()):
        assert series.thinned
        assert max(10_000 // tags // 8, points.MIN_CAP) <= len(series.steps) <= 10_000
        assert (series.steps[0], series.steps[-1]) == (0, steps - 1)
    whole = read_run(found)
    assert not any(series.thinned for series in whole.scalars.values())
    assert {len(series.steps) for series in whole.scalars.values()} == {steps}
