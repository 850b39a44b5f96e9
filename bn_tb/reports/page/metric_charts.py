"""The training and evaluation metrics that belong beside the statistics."""

import math
from typing import Any

from bn_tb.evidence.metrics import Metric
from bn_tb.reports.page import chart_points
from bn_tb.rules.subject import Subject

CHARTS = 2  # usually accuracy and loss
CURVES = 2  # of training, and as many of evaluation; more cannot be told apart


def metric_charts(subject: Subject, points: int) -> list[dict[str, Any]]:
    """Returns charts of the metrics of an experiment, those with both kinds of data first.

    Args:
      subject: The run; metrics of the related runs of its experiment are beside its own.
      points: Largest number of points of a curve.

    Returns:
      `{"metric", "curves": [{"run", "tag", "evaluates", "steps", "values"}]}` per chart, training
      before evaluation.
    """
    return [
        {"metric": metrics[0].name, "curves": [_curve(one, points) for one in _both(metrics)]}
        for metrics in _by_importance(subject)[:CHARTS]
    ]


def last_values(subject: Subject) -> dict[str, Any] | None:
    """Returns the last values of the most telling metric of an experiment, or None without one.

    Returns:
      `{"metric", "training", "evaluation"}`, a value null where it is not logged or not finite.
    """
    for metrics in _by_importance(subject)[:1]:
        last = {one.phase == "eval": one.series.values[-1] for one in reversed(_both(metrics))}
        training, evaluation = chart_points.numbers(
            [last.get(False, math.nan), last.get(True, math.nan)]
        )
        return {"metric": metrics[0].name, "training": training, "evaluation": evaluation}
    return None


def _by_importance(subject: Subject) -> list[list[Metric]]:
    named: dict[str, list[Metric]] = {}
    for other in subject.experiment:
        for metric in other.metrics:
            # Keras writes these on another clock, beside the same metrics over epochs.
            if metric.series.steps.size > 1 and "vs_iterations" not in metric.tag:
                named.setdefault(metric.name, []).append(metric)
    return sorted(named.values(), key=_importance)


def _importance(metrics: list[Metric]) -> tuple[bool, bool, int]:
    phases = {metric.phase == "eval" for metric in metrics}
    return len(phases) < 2, not metrics[0].higher_is_better, len(metrics[0].name)


def _both(metrics: list[Metric]) -> list[Metric]:
    training = [metric for metric in metrics if metric.phase != "eval"]
    evaluation = [metric for metric in metrics if metric.phase == "eval"]
    return training[:CURVES] + evaluation[:CURVES]


def _curve(metric: Metric, points: int) -> dict[str, Any]:
    series = metric.series
    kept = chart_points.thin(series.values, series.values, points)
    return {
        "run": metric.run,
        "tag": metric.tag,
        "evaluates": metric.phase == "eval",
        "steps": chart_points.steps(series.steps[kept]),
        "values": chart_points.numbers(series.values[kept]),
    }
