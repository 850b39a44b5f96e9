"""When a metric is good in training and bad in evaluation: limits that two rules share."""

from bn_tb.rules.rule import Limit

GAP_LIMITS = {
    "gap": Limit(0.2, "difference of a metric in [0, 1]", "more than sampling noise of 100 images"),
    "worse": Limit(2, "evaluation loss / training loss", "heuristic"),
    "fell": Limit(0.7, "training loss / its first value", "training must have learned something"),
    "stuck": Limit(
        0.9, "evaluation loss / first training loss", "evaluation must have learned little"
    ),
}
EXPLAINED_LIMITS = {
    **GAP_LIMITS,
    "stuck": Limit(0.5, "evaluation loss / first training loss", "less than half of the way"),
}
"""The same where statistics that nobody updated explain the gap: less of it is proof enough."""
