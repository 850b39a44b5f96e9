"""How much of a layer's initial value is left over the steps, as its charts show it."""

from typing import Any

import numpy as np

from bn_tb.diagnosis import LayerDiagnosis
from bn_tb.evidence.lag import TRUSTED, Lag
from bn_tb.reports.page import chart_points
from bn_tb.rules.subject import Subject
from bn_tb.runs.series import FloatArray, IntArray

CURVE_POINTS = 60  # points of a predicted curve, which is smooth


def weight_left(subject: Subject, judged: LayerDiagnosis, lag: Lag) -> FloatArray | None:
    """Returns the weight of the initial value at `even_steps`, by momentum and updates.

    None if these are unknown. Of a layer that is never updated it is what would be left.
    """
    steps, clock, momentum = even_steps(judged), subject.clock, judged.momentum
    if judged.last_step is None or lag.refuted is not None:
        return None
    if lag.decay is not None:
        by_curves: FloatArray = lag.decay ** np.maximum(steps - (lag.start or 0), 0.0)
        return by_curves
    if momentum and 0 < momentum < 1 and clock.updates_per_step is not None:
        began = clock.updates(lag.start) if lag.start is not None and not stuck(judged) else 0.0
        updates = clock.at_zero + clock.updates_per_step * steps - (began or 0.0)
        by_updates: FloatArray = momentum ** np.maximum(updates, 0.0)
        return by_updates
    return None


def lags(subject: Subject) -> tuple[Lag, ...]:
    """Returns what is left of each layer; nothing is known of those made by hand."""
    return subject.lags or (Lag(),) * len(subject.layers)


def at_last(judged: LayerDiagnosis, lag: Lag) -> float | None:
    """Returns how much of the initial value is left at the last step, as BN201 says it.

    That is its weight; where that is small, its share of the variance that evaluation divides by.
    """
    weight, counted = judged.initial_weight, lag.share
    if weight is None or counted is None:
        return weight
    return counted if weight <= TRUSTED < counted else weight


def counting(left: FloatArray | None, judged: LayerDiagnosis, lag: Lag) -> FloatArray | None:
    """Returns the weight over steps, or the share of the variance where `at_last` gives that.

    With the weight w a variance is `w + (1 - w) * c`, and the c of small variances follows from the
    share at the last step.
    """
    weight, end = judged.initial_weight, at_last(judged, lag)
    if left is None or not weight or not end or end == weight:
        return left
    c = weight * (1 / end - 1) / (1 - weight)
    counted: FloatArray = left / (left + (1 - left) * c)
    return counted


def stuck(judged: LayerDiagnosis) -> bool:
    """Returns whether a layer still holds its initial values."""
    return judged.verdict == "stale" and judged.initial_weight == 1


def even_steps(judged: LayerDiagnosis) -> IntArray:
    """Returns the steps of curves that are computed, int64 `[at most CURVE_POINTS]`."""
    first, last = judged.first_step or 0, judged.last_step or 0
    return np.unique(np.linspace(first, last, CURVE_POINTS).round().astype(np.int64))


def share(judged: LayerDiagnosis, lag: Lag, weight: FloatArray | None) -> dict[str, Any] | None:
    """Returns the chart of what is left over steps; for stale layers, of what would be."""
    left = counting(weight, judged, lag)
    if left is None:
        return None
    return {
        "steps": chart_points.steps(even_steps(judged)),
        "predicted": chart_points.numbers(left),
        "stuck": stuck(judged),
        "limit": TRUSTED,
        "momentum": judged.momentum,
    }
