"""Runs of known truth, made of numbers instead of event files."""

import dataclasses

import numpy as np

from bn_tb.diagnosis import Options, diagnose, subjects_of
from bn_tb.evidence.lag import lags_of
from bn_tb.graph.graph_evidence import GraphEvidence
from bn_tb.layers import find_layers
from bn_tb.rules import ALL_RULES
from bn_tb.runs.run import Run
from bn_tb.runs.series import BAND_LEVELS, HistogramSeries, ScalarSeries

RULES = {rule.code: rule for rule in ALL_RULES}


def histogram(steps, values, seconds_per_step=0.01):
    """Makes a series of channel values `[T, C]`, as a TF1 histogram would hold it."""
    steps, values = np.asarray(steps, np.int64), np.asarray(values, np.float64)
    finite = np.where(np.isfinite(values), values, 0.0)
    return HistogramSeries(
        steps=steps,
        wall_times=steps * seconds_per_step,
        minimum=values.min(1),
        maximum=values.max(1),
        count=np.full(steps.size, float(values.shape[1])),
        total=values.sum(1),
        sum_squares=(values**2).sum(1),
        bands=np.quantile(finite, BAND_LEVELS, axis=1).T.astype(np.float32),
        identity=np.array([hash(row.tobytes()) & (2**64 - 1) for row in values], np.uint64),
    )


def scalar(steps, values):
    """Makes a scalar series."""
    steps = np.asarray(steps, np.int64)
    return ScalarSeries(steps, steps * 0.01, np.asarray(values, np.float64))


def averages(mean, variance, momentum, start=(0.0, 1.0)):
    """Returns moving mean and variance `[T + 1, C]` from step 0 of batch statistics `[T, C]`."""
    curves = []
    for batches, initial in zip((mean, variance), start, strict=True):
        rows = [np.full(batches.shape[1], initial)]
        for batch in batches:
            rows.append(momentum * rows[-1] + (1 - momentum) * batch)
        curves.append(np.stack(rows).astype(np.float32).astype(np.float64))
    return tuple(curves)


def batch_statistics(rng, updates, channels=8, scale=0.5, noise=0.05):
    """Returns batch means and variances `[updates, channels]` of data that do not drift."""
    mean = rng.normal(0, 1, channels) + rng.normal(0, noise, (updates, channels))
    variance = scale * rng.uniform(0.3, 2, channels)
    return mean, variance * np.exp(rng.normal(0, noise, (updates, channels)))


def layer(name, mean, variance, steps=None, weights=None):
    """Returns the histograms of one layer: `{tag: series}` from values `[T, C]`."""
    steps = np.arange(len(mean)) if steps is None else steps
    named = {"moving_mean": mean, "moving_variance": variance, **(weights or {})}
    return {f"{name}/{role}": histogram(steps, values) for role, values in named.items()}


def constant(value, points, channels=8):
    """Returns `[points, channels]` of one value, or of one value per channel."""
    return np.tile(np.broadcast_to(np.asarray(value, float), (channels,)), (points, 1))


def trained(rng, points, channels=8):
    """Returns weights `[points, channels]` that change from point to point."""
    return 1 + np.cumsum(rng.normal(0, 0.01, (points, channels)), 0)


def followed(values, decay=0.9):
    """Returns an average of weights `[points, channels]` with a decay, from the first point on."""
    rows = [values[0]]
    for row in values[1:]:
        rows.append(decay * rows[-1] + (1 - decay) * row)
    return np.stack(rows)


def run(histograms=None, scalars=None, name="train", **fields):
    """Makes a run."""
    histograms, scalars = histograms or {}, scalars or {}
    steps = [step for one in (*histograms.values(), *scalars.values()) for step in one.steps]
    return Run(
        name=name,
        logdir="logs",
        scalars=scalars,
        histograms=histograms,
        first_step=min(steps, default=None),
        last_step=max(steps, default=None),
        all_tags=(*histograms, *scalars),
        **fields,
    )


def subject(*runs, graph=None, options=Options()):
    """Returns what rules judge: the first run, with the others beside it."""
    first = subjects_of(runs, options)[0]
    if graph is None:
        return first
    return with_graph(first, graph)


def with_graph(first, graph: GraphEvidence):
    """Returns a subject whose layers carry wiring of their name, as if the run held the graph."""
    layers = find_layers(first.run, graph)
    lags = lags_of(layers, first.clock)
    return dataclasses.replace(first, graph=graph, layers=layers, lags=lags)


def evidence(code, judged, **limits):
    """Returns what one rule finds in a subject."""
    rule = RULES[code]
    values = {name: limit.value for name, limit in rule.limits.items()}
    return tuple(rule.check(judged, {**values, **limits}))


def codes(*runs, options=Options()):
    """Returns the codes of all findings of all runs."""
    return {finding.code for one in diagnose(runs, options) for finding in one.findings}


def verdicts(*runs, options=Options()):
    """Returns the verdict of each run by name."""
    return {one.subject.run.name: one.verdict for one in diagnose(runs, options)}
