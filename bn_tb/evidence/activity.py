"""What proves that a network was trained while its statistics were logged."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from bn_tb.evidence import metrics
from bn_tb.evidence.figures import between
from bn_tb.layers import mixing, trajectory
from bn_tb.runs.run import Run
from bn_tb.runs.series import HistogramSeries, IntArray, distinct
from bn_tb.runs.tags import STATISTICS, ParsedTag, Role, parse_tag

TRAINED_ROLES = (Role.GAMMA, Role.BETA, Role.WEIGHT)
_NO_STEPS: IntArray = np.empty(0, np.int64)


@dataclasses.dataclass(frozen=True)
class Activity:
    """What changed in a run, apart from moving statistics.

    Attributes:
      weights: Steps at which each logged weight (gamma, beta, kernels ...) differed from the point
        before, int64, increasing, by tag; only weights with two or more steps.
      metric_tag: A training metric that changed, or an evaluation metric, or an empty string.
      metric_steps: Steps at which that metric differed from the point before, int64, increasing.
      signs: What checkpoints say of training, in words.
      counted: Whether something that counts updates of the weights is the first of them.
    """

    weights: Mapping[str, IntArray] = dataclasses.field(default_factory=dict)
    metric_tag: str = ""
    metric_steps: IntArray = dataclasses.field(default_factory=lambda: _NO_STEPS)
    signs: tuple[str, ...] = ()
    counted: bool = False

    @functools.cached_property
    def moved(self) -> tuple[str, ...]:
        """Tags of the weights that changed."""
        return tuple(tag for tag, steps in self.weights.items() if steps.size)

    @property
    def weights_stand_still(self) -> bool:
        """Whether weights are logged and none ever changed: nothing was trained."""
        return bool(self.weights) and not self.moved

    def weight_steps(self, tags: Iterable[str]) -> IntArray:
        """Returns the steps at which any of some weights changed, int64, increasing."""
        found: IntArray = distinct(
            np.concatenate([_NO_STEPS, *(self.weights[tag] for tag in tags if tag in self.weights)])
        )
        return found


def activity_of(run: Run, measured: Iterable[metrics.Metric]) -> Activity:
    """Returns what changed in a run.

    Args:
      run: The run.
      measured: Its metrics.
    """
    weights = {
        tag: change_steps(series)
        for tag, series in run.histograms.items()
        if series.steps.size > 1 and _is_weight(tag) and (series.steps != series.steps[0]).any()
    }
    best = max(
        (metric for metric in measured if metrics.changed(metric.series)),
        key=lambda metric: (metric.phase != "eval", metric.series.steps.size),
        default=None,
    )
    counts, moved = tuple(_counts(run)), tuple(_trained_parameters(run))
    return Activity(
        signs=counts + moved,
        counted=bool(counts),
        weights=weights,
        metric_tag=best.tag if best else "",
        metric_steps=_metric_changes(best) if best else _NO_STEPS,
    )


def _counts(run: Run) -> Iterator[str]:
    """Yields what the last checkpoint of each model counted of its training."""
    last = {one.model: one for one in run.checkpoints}
    for one in last.values():
        name = one.name
        if one.optimizer_steps:
            steps = "a step" if one.optimizer_steps == 1 else f"{one.optimizer_steps} steps"
            yield f"the optimizer made {steps} or more ({name})"
        elif one.counted and one.step > 0:
            yield f"{one.step} updates were counted ({name})"


def _trained_parameters(run: Run) -> Iterator[str]:
    """Yields betas of checkpoints that differ from channel to channel; without any, gammas do.

    A beta begins as one number, and so does a gamma, but for programs that draw it (DCGAN's around
    1): of a layer that has both, the beta tells.
    """
    parsed = [found for tag in sorted(run.checkpoint_tags) if (found := parse_tag(tag))]
    layers = {found.layer for found in parsed if found.role in STATISTICS}
    own = [found for found in parsed if found.layer in layers]
    betas = {found.layer: found.tag for found in own if _is_called(found, Role.BETA, "bias")}
    gammas = [found for found in own if _is_called(found, Role.GAMMA, "weight")]
    alone = [found.tag for found in gammas if found.layer not in betas]
    for tag in (*betas.values(), *alone):
        series = run.histograms[tag]
        low, high = float(series.minimum[-1]), float(series.maximum[-1])
        if low < high:
            yield f"{tag} is {between(low, high)}, and no longer one number as it begins"


def _is_called(found: ParsedTag, role: Role, torch: str) -> bool:
    """Returns whether a variable of a layer of batch norm is its gamma, or its beta."""
    return found.role is role or (found.role is Role.WEIGHT and found.tag.endswith(torch))


def change_steps(series: HistogramSeries) -> IntArray:
    """Returns the steps at which a series differed from the point before, int64, increasing.

    Where several layers wrote the tag, those at which any of them did.
    """
    shown = trajectory.as_shown(series)
    sharing = 1 if shown is series else mixing.layers_sharing(series)
    if sharing > 1:
        parts = (mixing.part(series, at, sharing) for at in range(sharing))
        return distinct(np.concatenate([change_steps(part) for part in parts]))
    found: IntArray = shown.steps[1:][trajectory.changes(shown)]
    return found


def _is_weight(tag: str) -> bool:
    parsed = parse_tag(tag)
    return parsed is not None and parsed.role in TRAINED_ROLES


def _metric_changes(metric: metrics.Metric) -> IntArray:
    found: IntArray = metric.series.steps[1:][np.diff(metric.series.values) != 0]
    return found
