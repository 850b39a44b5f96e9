"""## What it does
Finds, with `bn_tb.check(model, batches)`, layers whose moving statistics are not those of the
batches, in a model that gives other outputs in evaluation than in training mode.

## Why is this bad?
The same pictures, the same weights, and another answer: what differs is the statistics. Whatever
the cause, evaluation measures another network than the one that was trained.

## How it is decided
Some batches run in evaluation mode, and in training mode with dropout and other noise off. Two
things must hold:

- outputs differ, root mean square, by more than `outputs` = 0.3 of their standard deviation: a
  warning, and an error above `wrong` = 1, where the difference is larger than the signal;
- some layer explains it: its means are more than `means` = 1 standard deviation away (root mean
  square over channels), or its variances `ratio` = 2 times larger or smaller (geometric mean).

The noise of both sides is below that: a mean of N values is known to 1 / sqrt(N) standard
deviations, a warm average with momentum m to sqrt((1 - m) / (1 + m) / N), together 0.12 for batches
of 4 values at m = 0.9. Of 1,000 drawn healthy trainings, each checked with batches of two sizes,
means were 0.80 standard deviations away at most and variances off by a factor of 1.90; none was
called wrong (scripts/calibrate_check.py: batches of 4 to 256, momentum 0.5 to 0.99).

Frozen layers are judged where there are no others. Weights may have been trained with what they
hold, so that other values than 0 and 1 are information, unless the batches have labels and
evaluation mode answers 5 % less of them rightly.

Why, by layer: exactly 0 and 1 were never updated; one share of the initial values that explains
mean and variance alike is a lag; else the statistics are those of other data (another domain, a
frozen pretrained layer, evaluation batches) or of a few batches.

## Example
    outputs differ by 1.9 standard deviations
    bn1: means 2.9 sigma away, variances 0.11 times those of the batches: never updated

## When it is wrong
Batches that are no sample of the data: check with shuffled training batches. Batches that are far
smaller than those of the training have other statistics of their own.

## How to fix it
`bn_tb.recalibrate(model, batches)`, if training ran in training mode; else the cause that is named.

## References
- Wu and Johnson 2021, https://arxiv.org/abs/2105.07576
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.modes import LayerModes, Modes
from bn_tb.rules._words import layers_in_words, percent
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict

LIMITS = {
    "outputs": Limit(0.3, "standard deviations of the outputs", "calibrated on healthy trainings"),
    "wrong": Limit(1, "standard deviations of the outputs", "as much as the signal"),
    "means": Limit(1, "standard deviations, root mean square", "0.8 in healthy trainings at most"),
    "ratio": Limit(2, "stored / seen variance, or inverse", "a scale wrong by a factor of 1.4"),
}
WORSE = 0.05  # share of right answers; more than chance among some hundred examples
LAGGING = 0.05  # share of the initial values, as in BN201

FIX = """\
If training ran in training mode, estimate the statistics anew, from training batches:

    bn_tb.recalibrate(model, batches)

and mend the cause for the next training."""
CODE = "bn_tb.recalibrate(model, batches)"
FROZEN = "bn_tb.recalibrate(model, batches, include_frozen=True)"
SESSION = "bn_tb.monitor.tf1.recalibrate(session, feeds)"


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers that disagree with the batches."""
    modes = subject.modes
    if modes is None or modes.difference is None or not modes.difference > limits["outputs"]:
        return
    found = [layer for layer in modes.layers if _disagrees(layer, limits)]
    if not found:
        return
    severity = Severity.ERROR if modes.difference > limits["wrong"] else Severity.WARNING
    if all(layer.frozen and not layer.initial for layer in found) and not _costs(modes):
        severity = Severity.INFO
    scored = ""
    if modes.scores is not None:
        scored = (
            f" ({percent(modes.scores[0])} right in evaluation mode, "
            f"{percent(modes.scores[1])} in training mode)"
        )
    worst = max(found, key=lambda layer: max(layer.means, layer.ratio, 1 / layer.ratio))
    yield Evidence(
        message=(
            f"The same batches give other outputs in evaluation than in training mode, by "
            f"{modes.difference:.2g} standard deviations{scored}, and the statistics of "
            f"{layers_in_words([layer.name for layer in found])} explain it: {_cause(worst)}."
        ),
        proof=tuple(map(_line, found[:5])),
        fix=_fix(modes, found),
        layers=tuple(layer.name for layer in found),
        severity=severity,
    )


def _fix(modes: Modes, found: list[LayerModes]) -> str:
    code = SESSION if modes.session else FROZEN if any(one.frozen for one in found) else CODE
    return FIX.replace(CODE, code)


def _costs(modes: Modes) -> bool:
    """Returns whether evaluation mode answers worse: weights may have been trained with it."""
    return modes.scores is not None and modes.scores[0] < modes.scores[1] - WORSE


def _disagrees(layer: LayerModes, limits: Mapping[str, float]) -> bool:
    far = layer.ratio > limits["ratio"] or layer.ratio < 1 / limits["ratio"]
    return not layer.broken and (far or layer.means > limits["means"])


def _cause(layer: LayerModes) -> str:
    if layer.initial:
        return "they were never updated, and are exactly 0 and 1"
    if layer.share is not None and layer.share > LAGGING:
        return f"{percent(layer.share)} of them is still their initial value: they lag behind"
    if layer.frozen:
        return "they are frozen, at values of other data"
    if layer.momentum is not None and layer.momentum < 0.5:
        return (
            f"with a weight of {layer.momentum:g} for the old value they are those of the last few "
            "batches (the momentum convention is probably swapped)"
        )
    return "they are those of other data, or of a few batches"


def _line(layer: LayerModes) -> str:
    why = _cause(layer).partition(":")[0]
    return (
        f"{layer.name}: means {layer.means:.2g} standard deviations away, variances "
        f"{layer.ratio:.2g} times those of the batches; {why}"
    )


RULE = Rule(
    "BN503",
    "modes-disagree",
    Severity.ERROR,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.STALE),
)
