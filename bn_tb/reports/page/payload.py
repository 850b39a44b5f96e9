"""A diagnosis as the page needs it: plain JSON-able values, series thinned to what a chart shows.

Three sizes, so that the tab fetches only what is on the screen: `overview` one row of the list of
runs, `run` all of a run but its long series, `layer` the charts of one layer. Verdicts, findings
and layers are those of the JSON report, in its words.
"""

import math
from typing import Any

import numpy as np

from bn_tb.diagnosis import LayerDiagnosis, RunDiagnosis
from bn_tb.evidence.lag import TRUSTED
from bn_tb.layers import BatchNormLayer, trajectory
from bn_tb.reports import json_report, wording
from bn_tb.reports.page import chart_points, initial_value, metric_charts, wiring
from bn_tb.rules import ALL_RULES
from bn_tb.runs.run import Run
from bn_tb.runs.series import MEDIAN, FloatArray, HistogramSeries
from bn_tb.runs.tags import STATISTICS, Role

Payload = dict[str, Any]

CHART_POINTS = 400  # points a series; a chart is at most about 1000 pixels wide
SPARK_POINTS = 24  # points a sparkline, which is 96 pixels wide
MOST_WEIGHT = 0.99  # above it, where a statistic is going cannot be told from where it is
PREDICTED = ("healthy", "lagging")  # others go their own way
UNREMARKABLE = ("train", "no_training")  # states of a wiring in which no edge is missing
MOST_LOOKED_AT = 10  # layers of a finding; they are usually alike
FEWEST_POINTS = 4  # of a chart that is not shown
ONE_SIGMA = [2, 6]  # places of -1 and +1 sigma in series.BAND_LEVELS


def overview(diagnosis: RunDiagnosis) -> Payload:
    """Returns one row of the list of runs.

    A run that has nothing to say stands `beside` a judged one of its experiment.
    """
    run = diagnosis.subject.run
    judged = (other.run.name for other in diagnosis.subject.related if other.layers)
    told = {finding.code: finding for finding in reversed(diagnosis.findings)}
    return {
        "run": run.name,
        "beside": next(judged, None) if wording.companions([diagnosis]) else None,
        "verdict": diagnosis.verdict,
        "headline": wording.reason(diagnosis),
        "findings": [
            {"code": one.code, "name": one.name, "severity": one.severity.label}
            for one in reversed(told.values())
        ],
        "picture": _small_picture(diagnosis),
        "metric": metric_charts.last_values(diagnosis.subject),
        "layers": len(diagnosis.layers),
        "last_step": run.last_step,
        "hyperparameters": json_report.plain(run.hyperparameters),
    }


def _small_picture(diagnosis: RunDiagnosis) -> Payload | None:
    """How much of the initial values is left over the steps, or else how a variance moves.

    Of the layer with most of them. Only layers that go their predicted way, or that stay where
    they are, have that share; for the latter it is what would be left.
    """
    subject = diagnosis.subject
    layers = list(zip(diagnosis.layers, subject.layers, initial_value.lags(subject), strict=True))
    layers.sort(key=lambda one: -(initial_value.at_last(one[0], one[2]) or 0.0))
    for judged, _, lag in layers:
        if judged.verdict in PREDICTED or initial_value.stuck(judged):
            weight = initial_value.weight_left(subject, judged, lag)
            left = initial_value.counting(weight, judged, lag)
            if left is not None:
                kept = np.linspace(0, left.size - 1, SPARK_POINTS).round().astype(np.int64)
                return {
                    "left": chart_points.numbers(left[kept]),
                    "stuck": initial_value.stuck(judged),
                }
    moving = (_spark(layer.variance) or _spark(layer.mean) for _, layer, _ in layers)
    spark = next(filter(None, moving), None)
    return spark and {"spark": spark}


def unreadable(name: str, reason: str) -> Payload:
    """Returns the row of a run that could not be judged."""
    return {
        "run": name,
        "beside": None,
        "verdict": "unreadable",
        "headline": reason,
        "findings": [],
        "picture": None,
        "metric": None,
        "layers": 0,
        "last_step": None,
        "hyperparameters": {},
    }


def run(entry: Payload, diagnosis: RunDiagnosis, points: int = CHART_POINTS) -> Payload:
    """Returns what the page of a run shows: the run of the JSON report, and more.

    Args:
      entry: The run in `json_report.document`.
      diagnosis: The run.
      points: Largest number of points of a metric.
    """
    layers = [
        listed
        | {
            "trusted_from": judged.trusted_from,
            "unit": diagnosis.subject.clock.unit,
            "left": initial_value.at_last(judged, lag),
            "spark": {"mean": _spark(layer.mean), "variance": _spark(layer.variance)},
        }
        for listed, judged, layer, lag in zip(
            entry["layers"],
            diagnosis.layers,
            diagnosis.subject.layers,
            initial_value.lags(diagnosis.subject),
            strict=True,
        )
    ]
    return entry | {
        "layers": layers,
        "headline": " ".join(
            [wording.MEANING[diagnosis.verdict].capitalize() + ".", diagnosis.remark]
        ).strip(),
        "rules": {rule.code: rule.name for rule in ALL_RULES if rule.code in _causes(diagnosis)},
        "untrusted": untrusted(diagnosis),
        "metrics": metric_charts.metric_charts(diagnosis.subject, points),
        "explained": _explained(diagnosis),
    }


def _explained(diagnosis: RunDiagnosis) -> Payload | None:
    """The one picture that explains the first finding, of one layer that it names.

    The wiring of a layer whose updates training does not run, or else how much of the initial
    value is left. None if neither is known, or nothing is wrong.
    """
    named = next((finding.layers for finding in diagnosis.findings if finding.layers), ())
    pictures = (_one_picture(diagnosis, name) for name in named[:MOST_LOOKED_AT])
    return next(filter(None, pictures), None)


def _one_picture(diagnosis: RunDiagnosis, name: str) -> Payload | None:
    try:
        charts = layer(diagnosis, name, FEWEST_POINTS)
    except KeyError:
        return None  # a finding may name a layer of the graph alone
    wired, left = charts["wiring"], charts["share"]
    missing = wired is not None and wired["state"] not in UNREMARKABLE
    if not missing and left is None:
        return None
    return {"layer": name, "wiring": wired if missing else None, "share": left}


def _causes(diagnosis: RunDiagnosis) -> set[str]:
    return {code for finding in diagnosis.findings for code in finding.causes}


def layer(diagnosis: RunDiagnosis, name: str, points: int = CHART_POINTS) -> Payload:
    """Returns the charts of one layer.

    Args:
      diagnosis: The run.
      name: A layer of it.
      points: Largest number of points of a series.

    Raises:
      KeyError: The run has no such layer.
    """
    subject = diagnosis.subject
    for judged, found, lag in zip(
        diagnosis.layers, subject.layers, initial_value.lags(subject), strict=True
    ):
        if judged.layer == name:
            left = initial_value.weight_left(subject, judged, lag)
            return {
                "layer": name,
                "statistics": [
                    _statistic(role, found, judged, left, points)
                    | _saved(subject.run, found, role, points)
                    for role in STATISTICS
                ],
                "share": initial_value.share(judged, lag, left),
                "wiring": wiring.picture(found.wiring, subject.graph),
            }
    raise KeyError(name)


def untrusted(diagnosis: RunDiagnosis) -> Payload | None:
    """Returns the steps in which evaluation could not be trusted, or None without such steps.

    From the first step of the run until every layer's initial value weighs at most `TRUSTED`;
    `to` is None if that never came.
    """
    run = diagnosis.subject.run
    ends = [end for judged in diagnosis.layers if (end := _trusted_from(judged)) is not None]
    if run.first_step is None or not ends or max(ends) <= run.first_step:
        return None
    return {"from": run.first_step, "to": None if math.isinf(max(ends)) else int(max(ends))}


def _trusted_from(judged: LayerDiagnosis) -> float | None:
    """Step from which a layer may be trusted, infinity for never, None for unknown."""
    if judged.verdict == "stale":
        return math.inf
    if judged.trusted_from is not None:
        return judged.trusted_from
    if judged.initial_weight is not None and judged.initial_weight > TRUSTED:
        return math.inf
    return None


def _spark(series: HistogramSeries | None) -> Payload | None:
    """The root mean square over channels: channels of either sign do not cancel."""
    if series is None or not series.steps.size:
        return None
    size = trajectory.rms(series)
    kept = chart_points.thin(size, size, SPARK_POINTS)
    return {
        "steps": chart_points.steps(series.steps[kept]),
        "values": chart_points.numbers(size[kept]),
    }


def _statistic(
    role: Role,
    layer: BatchNormLayer,
    judged: LayerDiagnosis,
    left: FloatArray | None,
    points: int,
) -> Payload:
    """One statistic of a layer: its bands over steps, and what its momentum predicts."""
    mean = role is Role.MOVING_MEAN
    series = layer.mean if mean else layer.variance
    payload: Payload = {
        "kind": "mean" if mean else "variance",
        "tag": layer.mean_tag if mean else layer.variance_tag,
    }
    if series is None or not series.steps.size:
        return payload
    kept = chart_points.outline(series, points)
    bands = series.bands[kept].astype(np.float64)
    bands[:, 0], bands[:, -1] = series.minimum[kept], series.maximum[kept]  # exact, not float32
    broken = trajectory.non_finite(series)
    initial = layer.initial(role, series)
    return payload | {
        "initial": initial,
        "steps": chart_points.steps(series.steps[kept]),
        "bands": [chart_points.numbers(column) for column in bands.T],
        "points": int(series.steps.size),
        "thinned": series.thinned,
        "non_finite_from": int(series.steps[np.argmax(broken)]) if broken.any() else None,
        "predicted": _predicted(initial, series, judged, left)
        if judged.verdict in PREDICTED
        else None,
    }


def _saved(run: Run, layer: BatchNormLayer, role: Role, points: int) -> Payload:
    """Which points of a statistic are checkpoints: their steps, medians and files."""
    mean = role is Role.MOVING_MEAN
    tag, series = (layer.mean_tag, layer.mean) if mean else (layer.variance_tag, layer.variance)
    if series is None or tag not in run.checkpoint_tags:
        return {}
    at = np.unique(np.linspace(0, series.steps.size - 1, points).round().astype(np.int64))
    files = {one.step: json_report.valid(one.name) for one in run.checkpoints if one.holds(tag)}
    steps = chart_points.steps(series.steps[at])
    return {
        "checkpoints": {
            "steps": steps,
            "values": chart_points.numbers(series.bands[at, MEDIAN]),
            "files": [files.get(step, "") for step in steps],
        }
    }


def _predicted(
    initial: float, series: HistogramSeries, judged: LayerDiagnosis, left: FloatArray | None
) -> Payload | None:
    """The way of the +-1 sigma band from the initial value to where it is going.

    A moving average of a constant input c holds `w * initial + (1 - w) * c`, with w the share of
    the initial value. All channels of a layer share w, so a level of their distribution moves as
    one channel does, and its c follows from the last point.
    """
    weight = judged.initial_weight
    if left is None or weight is None or weight > MOST_WEIGHT:
        return None
    target = (series.bands[-1, ONE_SIGMA].astype(float) - weight * initial) / (1 - weight)
    low, high = (left * initial + (1 - left) * end for end in target)
    return {
        "steps": chart_points.steps(initial_value.even_steps(judged)),
        "low": chart_points.numbers(low),
        "high": chart_points.numbers(high),
        "target": chart_points.numbers(target),
    }
