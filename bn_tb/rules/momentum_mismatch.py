"""## What it does
Says that the moving statistics forget faster or slower per logged step than their momentum says.

## Why is this bad?
It is no fault by itself. Several updates a step (gradient accumulation, checkpointed activations, a
second forward pass, two streams through one layer) or skipped ones change how long the statistics
remember, and every figure that counts steps as updates.

## How it is decided
Best first:

- a layer's `num_batches_tracked` is logged, steps are not epochs, and it grows by less than 1 /
  `ratio` or more than `ratio` = 1.5 per step, layers of one pace together (a backbone that two
  pictures pass through, a head that one does). Above a hundred the steps are most likely epochs;
- the momentum m is known and some channel's variance is below what one update a step allows: with
  v >= m^(q t) at t steps from the initial 1, there were at least q = ln v / (t ln m) updates per
  step, and q is above `ratio`.

## Example
    momentum 0.98, moving_variance 0.59 at step 15: at least 1.7 updates a step

## When it is wrong
Where steps are epochs or samples and no name tells so.

## How to fix it
Nothing, if you meant it. Pass `--updates_per_step` to have shares and steps computed rightly.

## References
- https://github.com/pytorch/pytorch/issues/62471
- https://github.com/davda54/sam/issues/17
"""

import math
from collections.abc import Iterator, Mapping

from bn_tb.evidence.clock import own_clock
from bn_tb.evidence.counting import counted
from bn_tb.layers import BatchNormLayer
from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity

LIMITS = {
    "ratio": Limit(1.5, "updates per step", "halfway between one update a step and two"),
}
_SEVERAL = (
    "Nothing, if several forward passes a step are meant (gradient accumulation, checkpointed "
    "activations, two streams): the momentum acts once for each. Else look for a forward pass in "
    "training mode that does not belong to training."
)
_FEWER = (
    "Nothing, if a logged step is less than one forward pass in training mode (samples, "
    "micro-batches), or if some steps leave the layers out on purpose. Else look for training "
    "steps whose forward pass runs in evaluation mode or without the updates."
)

_COARSE = 100  # updates per step; gradient accumulation and more passes are some dozen at most
_STEPS_ARE_MORE = (
    "Nothing: the steps of this log are most likely epochs, or some hundred batches each, and "
    "shares are computed by the counters. Only if a step is one training step, look for forward "
    "passes in training mode that do not belong to training."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per pace that counters show, and one for what curves show."""
    if subject.clock.counted:
        yield from _by_counters(subject, limits["ratio"])
        return
    updates = {
        layer.name: _at_least(lag.momentum, lag.updates, lag.refuted)
        for layer, lag in zip(subject.layers, subject.lags, strict=True)
        if lag.refuted is not None
    }
    several = {name: count for name, count in updates.items() if count > limits["ratio"]}
    if several:
        count = min(several.values())
        line = (
            f"some moving variance is below what one update a step allows; {count:.2g} updates a "
            "step explain it"
        )
        yield _evidence(list(several), f"at least {count:.3g}", line, _SEVERAL)


def _by_counters(subject: Subject, ratio: float) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers whose counters grow at one pace.

    A layer that logs no counter of its own is taken to be updated as the one whose counter is
    logged.
    """
    if subject.clock.unit != "step":
        return
    paces: dict[str, list[BatchNormLayer]] = {}
    for layer in subject.layers:
        clock = own_clock(layer, subject.clock)
        pace = clock.updates_per_step or 1.0
        if layer.finite and clock.steady and not 1 / ratio <= pace <= ratio:
            paces.setdefault(_in_words(pace), []).append(layer)
    for words, layers in paces.items():
        line = counted(layers[0]) or f"{shortened(subject.clock.source)} grows by {words} per step"
        fix = _fix(own_clock(layers[0], subject.clock).updates_per_step or 1.0)
        yield _evidence([layer.name for layer in layers], words, line, fix)


def _in_words(pace: float) -> str:
    return f"{pace:.2g}" if pace < _COARSE else f"{pace:,.0f}"


def _fix(pace: float) -> str:
    if pace > _COARSE:
        return _STEPS_ARE_MORE
    return _FEWER if pace < 1 else _SEVERAL


def _at_least(momentum: float | None, updates: float | None, bound: float | None) -> float:
    """Returns the updates per step that bring the share of the initial value down to `bound`."""
    if not momentum or not updates or bound is None:
        return 1.0
    return math.log(max(bound, 1e-300)) / (updates * math.log(momentum))


def _evidence(names: list[str], pace: str, line: str, fix: str) -> Evidence:
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words(names)} are updated {pace} times per "
            "logged step."
        ),
        proof=(line,),
        fix=fix,
        layers=tuple(names),
    )


RULE = Rule("BN205", "momentum-mismatch", Severity.INFO, check, __doc__ or "", LIMITS)
