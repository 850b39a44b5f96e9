"""Scalars that measure how well a network does, and whether on training or evaluation data."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from bn_tb.layers import trajectory
from bn_tb.runs.run import Run
from bn_tb.runs.series import ScalarSeries
from bn_tb.runs.tags import LONGEST_NAME

_HIGHER = frozenset(
    (
        *("acc", "accuracy", "auc", "f1", "precision", "recall", "iou", "miou", "map", "dice"),
        *("psnr", "ssim", "r2", "top", "top1", "top5", "score", "bleu", "kappa"),
    )
)
_LOWER = frozenset(
    (
        *("loss", "losses", "cost", "err", "error", "errors", "xent", "entropy", "nll", "mse"),
        *("mae", "rmse", "perplexity", "ppl", "wer", "bpd", "objective"),
    )
)
_TRAIN = frozenset(["train", "training", "tr"])
_EVALUATION = frozenset(
    ["val", "valid", "validation", "eval", "evaluation", "test", "testing", "dev", "holdout"]
)
# Words that say how often or over what a metric was taken, not which metric it is.
_NOISE = frozenset(["epoch", "batch", "iter", "step", "steps", "avg", "mean", "metrics", "metric"])
_CANONICAL = {"acc": "accuracy", "err": "error", "losses": "loss", "errors": "error"}
_NOT_A_METRIC = frozenset(["learning", "lr", "grad", "gradient", "gradients", "norm", "weight"])
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[a-z]+\d?")


@dataclasses.dataclass(frozen=True)
class Metric:
    """One scalar tag that measures a network.

    Attributes:
      run: Name of the run.
      tag: The tag as written.
      name: What is measured, such as `accuracy`, without the phase.
      phase: `train`, `eval`, or an empty string if the names do not tell.
      higher_is_better: Direction.
      series: The values; steps strictly increase.
    """

    run: str
    tag: str
    name: str
    phase: str
    higher_is_better: bool
    series: ScalarSeries


@dataclasses.dataclass(frozen=True)
class Pair:
    """One metric on training and on evaluation data."""

    train: Metric
    evaluation: Metric


def metrics_of(run: Run) -> tuple[Metric, ...]:
    """Returns the metrics of a run in the order of its scalars."""
    return tuple(_metrics(run))


def _metrics(run: Run) -> Iterator[Metric]:
    run_phase = phase_of(run.name)
    for tag, series in run.scalars.items():
        if len(tag) > LONGEST_NAME:
            continue
        words = _words(tag)
        if _NOT_A_METRIC.intersection(words):
            continue
        higher = bool(_HIGHER.intersection(words))
        if not higher and not _LOWER.intersection(words):
            continue
        name = " ".join(
            _CANONICAL.get(word, word)
            for word in words
            if word not in _NOISE | _TRAIN | _EVALUATION
        )
        phase = _phase(words) or run_phase
        yield Metric(run.name, tag, name, phase, higher, trajectory.as_shown(series))


def phase_of(run: str) -> str:
    """Returns `train`, `eval`, or an empty string where the name of a run does not tell.

    The last folder that tells counts: `lr_eval/train` is a training run.
    """
    phases = (_phase(_words(folder)) for folder in reversed(run.split("/")))
    return next((phase for phase in phases if phase), "")


def _words(name: str) -> list[str]:
    return _WORD.findall(_CAMEL.sub(" ", name).lower())


def _phase(words: Iterable[str]) -> str:
    words = set(words)
    if words & _EVALUATION:
        return "eval"
    return "train" if words & _TRAIN else ""


def pairs(metrics: Iterable[Metric]) -> tuple[Pair, ...]:
    """Returns the metrics that one experiment has both on training and on evaluation data.

    A metric of unknown phase counts as training when its partner is known (`accuracy` beside
    `val_accuracy`). Keras' `evaluation_*_vs_iterations` repeat metrics on another clock: left out.
    """
    evaluations: dict[str, list[Metric]] = {}
    trains: dict[str, list[Metric]] = {}
    for metric in metrics:
        if "vs_iterations" in metric.tag:
            continue
        side = evaluations if metric.phase == "eval" else trains
        side.setdefault(metric.name, []).append(metric)
    return tuple(
        Pair(max(trains[name], key=_preference), max(found, key=_preference))
        for name, found in evaluations.items()
        if name in trains
    )


def _preference(metric: Metric) -> tuple[bool, int]:
    return metric.phase == "train", metric.series.steps.size


def changed(series: ScalarSeries) -> bool:
    """Returns whether a scalar took two different finite values at different steps."""
    values = series.values[np.isfinite(series.values)]
    return bool(values.size) and bool((values != values[0]).any())


@dataclasses.dataclass(frozen=True)
class Gap:
    """A metric that is good in training and bad in evaluation.

    Attributes:
      pair: The metric on both kinds of data.
      train: Training value, median over the last points before the evaluation.
      evaluation: Last evaluation value.
      step: Step of that evaluation.
      size: How far they part, for comparison; 1 is all of the scale.
    """

    pair: Pair
    train: float
    evaluation: float
    step: int
    size: float

    @property
    def name(self) -> str:
        """What is measured."""
        return self.pair.train.name


_RECENT = 5  # training points whose median is compared; single batches are noisy


def widest_gap(metrics: Iterable[Metric], limits: Mapping[str, float]) -> Gap | None:
    """Returns the widest gap between training and evaluation at the last evaluation, or None.

    Args:
      metrics: The metrics of one experiment.
      limits: `gap`, `worse`, `fell` and `stuck` of the rule gap-explained.
    """
    gaps = [gap for pair in pairs(metrics) if (gap := _gap(pair, limits)) is not None]
    return max(gaps, key=lambda gap: (gap.pair.train.higher_is_better, gap.size), default=None)


def _gap(pair: Pair, limits: Mapping[str, float]) -> Gap | None:
    train, evaluation = _finite(pair.train.series), _finite(pair.evaluation.series)
    if not train.steps.size or not evaluation.steps.size:
        return None
    step = int(evaluation.steps[-1])
    before = train.values[train.steps <= step]
    if not before.size:
        before = train.values
    recent, first = float(np.median(before[-_RECENT:])), float(np.median(before[:_RECENT]))
    last = float(evaluation.values[-1])
    if pair.train.higher_is_better:
        scale = 100 if max(train.values.max(), evaluation.values.max()) > 1.5 else 1
        size = (recent - last) / scale
        wide = size > limits["gap"]
    else:
        first = max(first, float(before[0]))
        least = max(limits["worse"] * recent, limits["stuck"] * first)
        wide = recent < limits["fell"] * first and last > least
        size = 1 - recent / last if wide and last > 0 else 0.0
    return Gap(pair, recent, last, step, size) if wide else None


def _finite(series: ScalarSeries) -> ScalarSeries:
    return trajectory.take(series, np.isfinite(series.values))
