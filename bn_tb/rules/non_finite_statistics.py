"""## What it does
Finds NaN or infinity in moving statistics.

## Why is this bad?
A moving average cannot recover: m * NaN is NaN. Training goes on with the statistics of its batches
and looks healthy, while every evaluation from that step on is NaN or one constant class.

## How it is decided
TF1 and PyTorch histograms show NaN or infinity as minimum, maximum or sum. TF2 histograms with a
NaN have NaN edges and counts of 0; with an infinity their count is lower than before. The layer
that is hit first is named as the origin: later layers are usually its victims.

PyTorch's writer refuses histograms of nothing but NaN, so loops skip them. A statistic whose tag
ends more than five of its own logged intervals before that of another one, or of gamma or beta of
its layer, with which it was logged at the same steps until then, is suspected of it: a warning, as
nothing is known of it from there on. So are all statistics of a run that end where a scalar, which
was logged with them and goes on, is NaN or infinite for the first time, at most one of their
intervals later: an error, likely, as NaN in a loss comes from NaN before it or leads to it. A layer
whose gamma and beta end with it left the model, and what ended before the program was started again
is another model.

## Example
    conv3/bn/moving_variance: finite up to step 410, not finite from step 420 on

## When it is wrong
A logger that writes NaN for "not computed yet" under the name of a moving statistic.

## How to fix it
Go back to the last checkpoint before the step named, or reset the statistics of the layer and fill
them in with forward passes in training mode. Prevent it: drop the last incomplete batch
(`drop_remainder=True`, `drop_last=True`: one value per channel has no variance), keep what feeds
the layer in float32 under mixed precision, and look at a batch before the forward pass: to skip the
step when the loss is not finite comes too late.

## References
- https://github.com/pytorch/pytorch/issues/1206
- https://github.com/tensorflow/tensorflow/issues/34062
- https://github.com/keras-team/keras/issues/11858
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence.ended import End, all_ended, ended
from bn_tb.rules import _fixes
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict
from bn_tb.runs.run import Run

FIX = (
    "Go back to the last checkpoint before this step; or, if the weights are finite, {recalibrate} "
    "estimates the statistics anew. To prevent it: drop the last incomplete batch "
    "(drop_remainder=True, drop_last=True), keep the input of the layer in float32 under mixed "
    "precision, and look at a batch before the forward pass, which updates the statistics: to skip "
    "the step when the loss is not finite comes too late."
)


LOADED = (
    "Look at what was loaded: a checkpoint that was saved broken, or converted with mean and "
    "variance swapped or missing. If nothing was loaded, look at the first batch: its inputs, "
    "and mixed precision. Then {recalibrate} estimates the statistics anew."
)


LOOK = (
    "Look at these statistics in a checkpoint of a later step (bn_tb.analyze reads it), or log by "
    "a monitor of bn_tb, which writes NaN as it is. If they are not finite: "
    + FIX[0].lower()
    + FIX[1:]
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence for layers with NaN or infinity, and for those that are logged no more."""
    yield from _hit(subject)
    yield from _in_memory(subject)
    yield from _logged_no_more(subject)


def _in_memory(subject: Subject) -> Iterator[Evidence]:
    """Yields one piece of evidence for the layers of a model that is checked."""
    found = [one for one in subject.modes.layers if not one.finite] if subject.modes else []
    if found:
        names = [one.name for one in found]
        yield Evidence(
            message=(
                f"The moving statistics of {layers_in_words(names)} hold NaN or infinity, and "
                "cannot recover. Every evaluation is worthless."
            ),
            proof=tuple(f"{name}: not finite in the model as it is" for name in names[:3]),
            fix="Estimate them anew from training batches: bn_tb.recalibrate(model, batches).",
            layers=tuple(names),
        )


def _logged_no_more(subject: Subject) -> Iterator[Evidence]:
    """Yields one piece of evidence per step at which statistics ended."""
    lost = [one for one in all_ended(subject.layers, subject.run) if _becomes_nan(subject.run, one)]
    groups: dict[int, list[End]] = {}
    for one in (*lost[:1], *ended(subject.layers, subject.run)):
        groups.setdefault(one.step, []).append(one)
    for end, entries in groups.items():
        names = list(dict.fromkeys(name for one in entries for name in one.layers))
        likely = lost and entries[0] is lost[0]
        why = f", and {lost[0].other} is not finite right then" if likely else ""
        yield Evidence(
            message=(
                f"The moving statistics of {layers_in_words(names)} are logged up to step {end} "
                f"only, while others go on{why}: from there on nothing is known of them. Loops "
                "that skip NaN, which PyTorch's writer refuses, look like this."
            ),
            proof=tuple(map(_line, entries[:3])),
            fix=_with_code(LOOK, subject, names),
            layers=tuple(names),
            step=end,
            severity=Severity.ERROR if likely else Severity.WARNING,
            confidence=Confidence.LIKELY if likely else Confidence.SUSPECT,
        )


def _with_code(fix: str, subject: Subject, names: list[str]) -> str:
    """Returns a fix with the code of the framework of some layers."""
    layers = [layer for layer in subject.layers if layer.name in names]
    return fix.format(recalibrate=_fixes.RECALIBRATE[_fixes.framework_of(layers)])


def _becomes_nan(run: Run, end: End) -> bool:
    """Returns whether a scalar was finite as long as statistics were, and not right after them."""
    scalar = run.scalars[end.other]
    broken = scalar.steps[~np.isfinite(scalar.values)]
    return bool(broken.size and end.step <= broken[0] <= end.step + end.interval)


def _line(end: End) -> str:
    return f"{end.tag}: last at step {end.step}; {end.other}: last at step {end.last}"


def _hit(subject: Subject) -> Iterator[Evidence]:
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
        fix=_with_code(LOADED if from_the_start else FIX, subject, names),
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
    meaning=Meaning(Verdict.BROKEN, as_info=True, least=Confidence.LIKELY),
    explained_by=("BN302", "BN304"),
    covers=("BN902",),
)
