"""## What it does
Says that a run has batch norm but does not log its moving statistics.

## Why is this bad?
The statistics are what evaluation uses, and the only proof that they are updated. Usual logging
loops miss them: `tf.trainable_variables()` and `model.named_parameters()` do not contain them.

## How it is decided
The graph or a Keras configuration has batch-norm layers, or gamma and beta of layers with a name of
batch norm are logged, and no histogram of `moving_mean` or `moving_variance` is.

It is information, and a warning where a metric is good on training data and bad on evaluation data:
apart by more than `gap` = 0.2, or a loss that fell below `fell` = 0.7 of its first value in
training and is more than `worse` = 2 times that in evaluation, and there no lower than `stuck` =
0.9 of the first one, as on BN501's page. Then the statistics are what to look at first.

## Example
    layer1.0.bn1.weight, layer1.0.bn1.bias are logged
    layer1.0.bn1.running_mean is not

## When it is wrong
When the statistics are logged under names this tool does not know: teach it with `--mean_pattern`
and `--variance_pattern`.

## How to fix it
Log the statistics too: `tf.global_variables()` instead of `tf.trainable_variables()`,
`model.named_buffers()` beside `model.named_parameters()`, `TensorBoard(histogram_freq=1)` in Keras.

## References
- https://github.com/tensorflow/tensorflow/issues/11965
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.metrics import Gap
from bn_tb.layers import BatchNormLayer, Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._gap import GAP_LIMITS
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.how_to_log import FIXES, likely_framework
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict
from bn_tb.runs.run import Run


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers without statistics."""
    layers = [layer for layer in subject.layers if layer.motion is Motion.NOT_LOGGED]
    if not layers:
        return
    seen = next((tag for layer in layers for tag in layer.weights), None)
    gap = subject.gap(limits)
    unseen = all(layer.motion is Motion.NOT_LOGGED for layer in subject.layers)
    yield Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} are not "
            f"logged: whether they are updated cannot be seen.{_parted(gap) if unseen else ''}"
        ),
        proof=(f"logged: {seen}" if seen else "the layers are in the graph or the configuration",),
        fix=FIXES[_framework(subject.run, layers)],
        layers=tuple(layer.name for layer in layers),
        severity=Severity.WARNING if gap and unseen else None,
    )


def _framework(run: Run, layers: list[BatchNormLayer]) -> Framework:
    found = _fixes.framework_of(layers)
    return likely_framework(run) if found is Framework.UNKNOWN else found


def _parted(gap: Gap | None) -> str:
    if gap is None:
        return ""
    return (
        f" {gap.name} is {gap.train:.3g} in training and {gap.evaluation:.3g} in evaluation, as "
        "statistics that nobody updates would bring about."
    )


RULE = Rule(
    "BN901",
    "statistics-not-logged",
    Severity.INFO,
    check,
    __doc__ or "",
    GAP_LIMITS,
    meaning=Meaning(Verdict.NOT_LOGGED),
)
