"""Every rule, in the order of the codes; one fault, one file, one manual page."""

from bn_tb.rules import (
    cold_start,
    damaged_file,
    frozen_statistics,
    lagging_statistics,
    never_updated,
    non_finite_statistics,
    statistics_not_logged,
    too_few_points,
    unwired_updates,
)

ALL_RULES = (
    never_updated.RULE,
    frozen_statistics.RULE,
    lagging_statistics.RULE,
    cold_start.RULE,
    non_finite_statistics.RULE,
    unwired_updates.RULE,
    statistics_not_logged.RULE,
    too_few_points.RULE,
    damaged_file.RULE,
)
