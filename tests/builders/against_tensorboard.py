"""Compares series that we read with those that TensorBoard's own reader reads."""

import collections
import dataclasses
import pathlib
import re

import numpy as np

from bn_tb.runs.tags import TagPatterns
from bn_tb.sources.logdir import find_runs, read_logdir

Scalar = collections.namedtuple("Scalar", ["wall_time", "step", "value"])
EVERYTHING = TagPatterns(mean=(re.compile(""),))


def tensorboard_series(folder: str):
    """Scalars and histograms of TensorBoard's reader, by tag: steps, wall times, values."""
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    everything = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
    accumulator = event_accumulator.EventAccumulator(folder, everything)
    accumulator.Reload()
    scalars = {tag: accumulator.Scalars(tag) for tag in accumulator.Tags()["scalars"]}
    histograms = {tag: accumulator.Histograms(tag) for tag in accumulator.Tags()["histograms"]}
    tables = {}
    for tag in accumulator.Tags()["tensors"]:
        plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
        points = [
            (point.step, point.wall_time, tensor_util.make_ndarray(point.tensor_proto))
            for point in accumulator.Tensors(tag)
        ]
        if plugin == "scalars":
            scalars[tag] = [Scalar(wall, step, value.item()) for step, wall, value in points]
        elif plugin == "histograms":
            tables[tag] = points
    return scalars, histograms, tables


def assert_equal_to_tensorboard(logdir: pathlib.Path) -> int:
    """Compares every run and returns the number of points compared."""
    compared = 0
    folders = {run.name: pathlib.Path(run.files[0].path).parent for run in find_runs(logdir)}
    for run in read_logdir(logdir, EVERYTHING):
        scalars, histograms, tables = tensorboard_series(str(folders[run.name]))
        assert set(run.scalars) == set(scalars)
        assert set(run.histograms) == set(scalars) | set(histograms) | set(tables)
        for tag, points in scalars.items():
            ours = run.scalars[tag]
            np.testing.assert_array_equal(ours.steps, [point.step for point in points])
            np.testing.assert_array_equal(ours.wall_times, [point.wall_time for point in points])
            np.testing.assert_array_equal(ours.values, [point.value for point in points])
            compared += len(points)
        for tag, points in histograms.items():
            assert_equal_protos(run.histograms[tag], points)
            compared += len(points)
        for tag, points in tables.items():
            assert_equal_tables(run.histograms[tag], points)
            compared += len(points)
    return compared


def assert_equal_protos(ours, points):
    from tensorboard.plugins.distribution import compressor

    np.testing.assert_array_equal(ours.steps, [point.step for point in points])
    np.testing.assert_array_equal(ours.wall_times, [point.wall_time for point in points])
    values = [point.histogram_value for point in points]
    written = [
        np.hstack(dataclasses.astuple(value)).tobytes() for value in values
    ]  # as bits: -0.0 is not 0.0
    for attribute, name in (("count", "num"), ("total", "sum"), ("sum_squares", "sum_squares")):
        np.testing.assert_array_equal(getattr(ours, attribute), [getattr(v, name) for v in values])
    for index, value in enumerate(values):
        same = [other == written[index] for other in written]
        np.testing.assert_array_equal(ours.identity == ours.identity[index], same)
        if value.num and np.isfinite(value.sum):
            assert (ours.minimum[index], ours.maximum[index]) == (value.min, value.max)
            bands = [band for _, band in compressor.compress_histogram_proto(value)]
            scale = max(abs(value.min), abs(value.max), 1e-30)
            np.testing.assert_allclose(ours.bands[index], bands, atol=1e-5 * scale, rtol=1e-5)


def assert_equal_tables(ours, points):
    np.testing.assert_array_equal(ours.steps, [step for step, _, _ in points])
    np.testing.assert_array_equal(ours.wall_times, [wall for _, wall, _ in points])
    tables = [table.astype(np.float64).reshape(-1, 3) for _, _, table in points]
    for index, table in enumerate(tables):
        same = [other.tobytes() == table.tobytes() for other in tables]
        np.testing.assert_array_equal(ours.identity == ours.identity[index], same)
        filled = table[table[:, 2] > 0]
        assert ours.count[index] == table[:, 2].sum()
        if len(filled):
            assert (ours.minimum[index], ours.maximum[index]) == (filled[0, 0], filled[-1, 1])
            total = (filled[:, 2] * filled[:, :2].mean(axis=1)).sum()
            if np.isfinite(total):
                np.testing.assert_allclose(ours.total[index], total, rtol=1e-12, atol=1e-12)
            assert ours.finite[index] == np.isfinite(total)
