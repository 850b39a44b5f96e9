"""## What it does
Finds replicas of one training job whose moving statistics differ although their weights are equal.

## Why is this bad?
Each replica sees its own shard of the data. If the shards differ, no replica's statistics are those
of the data: the variance within shards leaves out the variance between them. What is saved is the
statistics of replica 0, or a mean of variances that is too small.

## How it is decided
Runs of one experiment whose names differ in the number of a rank, replica, worker or GPU only; all
weights logged in both are bit for bit equal at their last common step, so they are one job. Or one
run that holds the statistics of each replica (`.../moving_mean/replica_0`, as `bn_tb.monitor`
writes them under tf.distribute, which keeps the weights equal).

For each layer the variance over the replicas of the moving mean (average, smallest and largest
channel), divided by the mean variance (for single channels by the largest), is above `ratio` = 0.1.
The pooled variance is the mean variance plus that variance over replicas, so the limit
says that a tenth of the variance is missing. Identically distributed shards give below 0.01.

## Example
    rank0/bn1.running_mean 0.04, rank1/bn1.running_mean 10.01, running_var 1.0 in both: ratio 25

## When it is wrong
Ranks that train different models in which no weight is logged: silent.

## How to fix it
Use synchronised batch norm (`SyncBatchNorm`, `BatchNormalization(synchronized=True)`), shuffle the
shards, or reduce mean and pooled variance over the replicas before evaluation.

## References
- https://github.com/horovod/horovod/issues/1006
- https://github.com/huggingface/pytorch-image-models/issues/110
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bn_tb.layers import BatchNormLayer
from bn_tb.layers.trajectory import as_shown
from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity
from bn_tb.runs.series import HistogramSeries

LIMITS = {
    "ratio": Limit(0.1, "variance over replicas / mean variance", "a tenth of the variance lost"),
}
_NUMBERED = re.compile(
    r"(rank|replica|worker|gpu|tower|node|process|device)[_-]?\d+", re.IGNORECASE
)
FIX = (
    "Use synchronised batch normalisation (PyTorch: "
    "nn.SyncBatchNorm.convert_sync_batchnorm(model), Keras: "
    "BatchNormalization(synchronized=True)), shuffle the data over the replicas, or reduce "
    "the statistics over the replicas before evaluation and before saving."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence, for runs in the first of the replicas."""
    runs = _replicas(subject)
    if len(runs) > 1 and runs[0] is subject and _same_weights(runs):
        names = ", ".join(shortened(one.run.name) for one in runs[:4])
        yield from _disagreements(_common_layers(runs), names, limits["ratio"])
    inside = {layer.name: _replicas_of(layer, subject) for layer in subject.layers}
    inside = {name: layers for name, layers in inside.items() if len(layers) > 1}
    yield from _disagreements(inside, "of one run", limits["ratio"])


def _disagreements(
    replicas: Mapping[str, Sequence[BatchNormLayer]], names: str, limit: float
) -> Iterator[Evidence]:
    """Yields one piece of evidence about the layers that differ; `replicas` holds each by layer."""
    ratios = {name: ratio for name, layers in replicas.items() if (ratio := _ratio(layers)) > limit}
    if not ratios:
        return
    worst = max(ratios, key=lambda name: ratios[name])
    yield Evidence(
        message=(
            f"{len(replicas[worst])} replicas with equal weights hold different moving statistics "
            f"in {layers_in_words(list(ratios))}: each has seen another part of the data, and what "
            "is saved belongs to none of them."
        ),
        proof=(
            f"{worst}: variance over the replicas of the mean is {ratios[worst]:.3g} of the mean "
            "variance",
            f"replicas: {names}",
        ),
        fix=FIX,
        layers=tuple(ratios),
    )


def _replicas_of(layer: BatchNormLayer, subject: Subject) -> list[BatchNormLayer]:
    """Returns what a run holds of each replica of one layer, in their order."""
    found: list[BatchNormLayer] = []
    while True:
        tags = [f"{tag}/replica_{len(found)}" for tag in (layer.mean_tag, layer.variance_tag)]
        mean, variance = (subject.run.histograms.get(tag) for tag in tags)
        if mean is None or variance is None:
            return found
        found.append(BatchNormLayer(layer.name, mean=as_shown(mean), variance=as_shown(variance)))


def _replicas(subject: Subject) -> list[Subject]:
    form = _NUMBERED.sub("#", subject.run.name)
    if form == subject.run.name:
        return []
    same = [one for one in subject.experiment if _NUMBERED.sub("#", one.run.name) == form]
    return sorted(same, key=lambda one: one.run.name)


def _same_weights(replicas: Sequence[Subject]) -> bool:
    """Returns whether some weight is logged in all replicas and all are equal at a common step."""
    tags = set.intersection(*({*one.activity.weights} for one in replicas))
    for tag in tags:
        points = _at_last_common_step([as_shown(one.run.histograms[tag]) for one in replicas])
        if points is None or len({int(s.identity[at]) for s, at in points}) > 1:
            return False
    return bool(tags)


def _at_last_common_step(
    series: Sequence[HistogramSeries],
) -> list[tuple[HistogramSeries, int]] | None:
    common = set.intersection(*({*one.steps.tolist()} for one in series))
    if not common:
        return None
    return [(one, int(np.searchsorted(one.steps, max(common)))) for one in series]


def _common_layers(replicas: Sequence[Subject]) -> dict[str, list[BatchNormLayer]]:
    named = [{layer.name: layer for layer in one.layers if layer.finite} for one in replicas]
    names = [name for name in named[0] if all(name in layers for layers in named)]
    return {name: [layers[name] for layers in named] for name in names}


def _ratio(layers: Sequence[BatchNormLayer]) -> float:
    """Returns the variance over the replicas of the mean, divided by the mean variance."""
    if any(layer.mean is None or layer.variance is None for layer in layers):
        return 0.0
    means = _at_last_common_step([layer.mean for layer in layers if layer.mean])
    variances = _at_last_common_step([layer.variance for layer in layers if layer.variance])
    if means is None or variances is None:
        return 0.0
    usual = np.mean([one.mean[at] for one, at in variances])
    largest = np.mean([one.maximum[at] for one, at in variances])
    between = np.var([one.mean[at] for one, at in means])
    extremes = max(
        np.var([one.minimum[at] for one, at in means]),
        np.var([one.maximum[at] for one, at in means]),
    )
    if not (usual > 0 and largest > 0):
        return 0.0
    ratio = float(max(between / usual, extremes / largest))
    return ratio if np.isfinite(ratio) else 0.0


RULE = Rule("BN502", "replicas-disagree", Severity.WARNING, check, __doc__ or "", LIMITS)
