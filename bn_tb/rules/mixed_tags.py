"""## What it does
Says that several layers wrote their statistics under one tag.

## Why is this bad?
TensorBoard shows a meaningless zigzag, and no tool can be sure which point belongs to which layer.
Keras 3 before pull request 22317 writes `moving_mean/histogram` for every layer.

## How it is decided
A statistic has several different points at one step, the same number at every step, written one
after the other. If the tag names no layer, or the points differ in their number of channels,
they are split by their position within the step and judged as layers `#1`, `#2` ... in the order of
the network; otherwise, or if their number changes, the layer is not judged.

## Example
    moving_mean/histogram: 9 points at 3 steps: 3 layers

## When it is wrong
One layer that is logged several times a step while it moves, under a tag without its name.

## How to fix it
Upgrade Keras, or log the statistics with names of your own (`weight.path`).

## References
- https://github.com/keras-team/keras/issues/18433
- https://github.com/keras-team/keras/pull/22317
"""

from collections.abc import Iterator, Mapping

from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity

FIX = (
    "Upgrade Keras, or give each layer a tag of its own, for example its path:\n\n"
    "    tf.summary.histogram(weight.path, weight, step=step)"
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence apart for layers that were split and layers that could not be."""
    mixed = [layer for layer in subject.layers if layer.mixed > 1]
    for layers, outcome in (
        ([layer for layer in mixed if layer.position], "they were split by their order in a step"),
        ([layer for layer in mixed if not layer.position], "they cannot be told apart or judged"),
    ):
        if layers:
            names = [layer.name for layer in layers]
            yield Evidence(
                message=(
                    f"{layers[0].mixed} layers wrote their statistics under one tag; {outcome}: "
                    f"{layers_in_words(names)}."
                ),
                proof=(
                    f"{layers[0].mean_tag or layers[0].variance_tag}: {layers[0].mixed} different "
                    "points at each step",
                ),
                fix=FIX,
                layers=tuple(names),
            )


RULE = Rule("BN904", "mixed-tags", Severity.INFO, check, __doc__ or "")
