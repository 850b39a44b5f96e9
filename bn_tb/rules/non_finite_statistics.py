"""## What it does
Finds NaN or infinity in moving statistics.

## Why is this bad?
A moving average cannot recover: m * NaN is NaN. Training goes on with the statistics of its batches
and looks healthy, while every evaluation from that step on is NaN or one constant class.

## How it is decided
TF1 and PyTorch histograms show NaN or infinity as minimum, maximum or sum. TF2 histograms with a
NaN have NaN edges and counts of 0; with an infinity their count is lower than before. The layer
that is hit first is named as the origin: later layers are usually its victims.

## Example
    conv3/bn/moving_variance: finite up to step 410, not finite from step 420 on

## When it is wrong
A logger that writes NaN for "not computed yet" under the name of a moving statistic.

## How to fix it
Go back to the last checkpoint before the step named, or reset the statistics of the layer and fill
them in with forward passes in training mode. Prevent it: drop the last incomplete batch
(`drop_remainder=True`, `drop_last=True`: one value per channel has no variance), keep what feeds
the layer in float32 under mixed precision, and skip the step when the loss is not finite.

## References
- https://github.com/pytorch/pytorch/issues/1206
- https://github.com/tensorflow/tensorflow/issues/34062
- https://github.com/keras-team/keras/issues/11858
"""

from collections.abc import Iterator, Mapping

from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict

FIX = (
    "Go back to the last checkpoint before this step, or reset the statistics of these layers and "
    "fill them in with forward passes in training mode. To prevent it: drop the last incomplete "
    "batch (drop_remainder=True, drop_last=True), keep the input of the layer in float32 under "
    "mixed precision, and skip the step when the loss is not finite."
)


LOADED = (
    "Look at what was loaded: a checkpoint that was saved broken, or converted with mean and "
    "variance swapped or missing. If nothing was loaded, look at the first batch: its inputs, "
    "and mixed precision. Then re-estimate the statistics: bn_tb.recalibrate(model, batches)."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers, the first one hit in front."""
    hits: dict[str, tuple[int, str]] = {}
    for layer in subject.layers:
        for (_, series), (_, good) in zip(layer.statistics, layer.finite, strict=True):
            if good is not series:
                at = good.steps.size
                step = int(series.steps[at])
                before = f"finite up to step {series.steps[at - 1]}, " if at else ""
                line = f"{before}not finite at step {step}"
                if layer.name not in hits or step < hits[layer.name][0]:
                    hits[layer.name] = step, line
    if not hits:
        return
    names = sorted(hits, key=lambda name: hits[name][0])
    first_step = hits[names[0]][0]
    from_the_start = all(hits[name][1].startswith("not") for name in names)
    yield Evidence(
        message=(
            f"NaN or infinity in the moving statistics of {layers_in_words(names)} from "
            f"{'the first point' if from_the_start else f'step {first_step}'} on"
            f"{_origin(names, from_the_start)}. Every evaluation since then is worthless."
        ),
        proof=tuple(f"{name}: {hits[name][1]}" for name in names[:3]),
        fix=LOADED if from_the_start else FIX,
        layers=tuple(names),
        step=first_step,
    )


def _origin(names: list[str], from_the_start: bool) -> str:
    if from_the_start:
        return ": they were loaded or converted like that, or the first batch did it"
    return f", first in {names[0]}" * (len(names) > 1) + "; they cannot recover"


RULE = Rule(
    "BN301",
    "non-finite-statistics",
    Severity.ERROR,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.BROKEN, as_info=True),
    explained_by=("BN302", "BN304"),
    covers=("BN902",),
)
