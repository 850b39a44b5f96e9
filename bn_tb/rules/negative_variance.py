"""## What it does
Finds channels with a moving variance below 0.

## Why is this bad?
Evaluation divides by sqrt(variance + epsilon): the root of a negative number is NaN, and a value
between -epsilon and 0 is amplified without measure.

## How it is decided
The smallest value of the moving variance, which histograms of TF1 and PyTorch hold exactly and TF2
histograms as the left edge of their lowest filled bucket, is below `negative` = 0.

## Example
    moving_variance  step 700: minimum -1.92

## When it is wrong
Something else (a log variance, a signal-to-noise ratio) is logged under the name of a variance.

## How to fix it
A sum of squares minus the squared mean in float32 cancels: compute it in float32 or better around a
shifted mean, use the framework's layer, and do not update one variable several times a step without
order (layers reused in one graph).

## References
- https://github.com/keras-team/keras/issues/9646
- https://github.com/tensorflow/tensorflow/issues/14353
"""

from collections.abc import Iterator, Mapping

from bn_tb.layers import trajectory
from bn_tb.rules import _fixes
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict

LIMITS = {"negative": Limit(0.0, "variance", "a variance cannot be negative")}
FIX = (
    "Use the framework's layer, or compute the variance around the mean and in float32 "
    "(E[x^2] - E[x]^2 cancels). If one layer is applied several times a step, give each use its "
    "own statistics. Then {recalibrate} estimates them anew."
)


LOADED = (
    "The values never change: they were loaded or converted like that. Look whether mean and "
    "variance were swapped in the conversion of the checkpoint, and load it again."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such layers."""
    yield from _in_memory(subject, limits["negative"])
    found = []
    for layer in subject.layers:
        if layer.variance is not None:
            below = layer.variance.minimum < limits["negative"]
            if below.any():
                found.append((layer, layer.variance, int(below.argmax())))
    if not found:
        return
    layers = [layer for layer, _, _ in found]
    names = [layer.name for layer in layers]
    step = min(int(series.steps[at]) for _, series, at in found)
    loaded = all(at == 0 and not trajectory.changes(series).any() for _, series, at in found)
    since = "at all points" if loaded else f"from step {step} on"
    yield Evidence(
        message=(
            f"The moving variance of {layers_in_words(names)} is below 0 in some channel {since}: "
            "evaluation takes the root of it, which is no number."
        ),
        proof=tuple(
            f"{layer.name}: minimum {series.minimum[at]:.4g} at step {series.steps[at]}"
            for layer, series, at in found[:3]
        ),
        fix=LOADED
        if loaded
        else FIX.format(recalibrate=_fixes.RECALIBRATE[_fixes.framework_of(layers)]),
        layers=tuple(names),
        step=step,
    )


def _in_memory(subject: Subject, limit: float) -> Iterator[Evidence]:
    """Yields one piece of evidence for the layers of a model that is checked."""
    found = [one for one in subject.modes.layers if one.least < limit] if subject.modes else []
    if found:
        names = [one.name for one in found]
        yield Evidence(
            message=(
                f"The moving variance of {layers_in_words(names)} is below 0 in some channel: "
                "evaluation takes the root of it, which is no number."
            ),
            proof=tuple(f"{one.name}: minimum {one.least:.4g}" for one in found[:3]),
            fix="Estimate it anew from training batches: bn_tb.recalibrate(model, batches).",
            layers=tuple(names),
        )


RULE = Rule(
    "BN302",
    "negative-variance",
    Severity.ERROR,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.BROKEN, as_info=True),
)
