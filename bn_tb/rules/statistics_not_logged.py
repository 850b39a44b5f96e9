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

import re
from collections.abc import Iterator, Mapping

from bn_tb.evidence import metrics
from bn_tb.evidence.metrics import Gap
from bn_tb.layers import Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._gap import GAP_LIMITS
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Meaning, Severity, Verdict
from bn_tb.runs.run import Run

_TF1 = """\
Log the moving statistics beside the weights:

    for variable in tf.global_variables():
        if "moving_" in variable.op.name:
            tf.summary.histogram("bn/" + variable.op.name, variable)"""
_KERAS = """\
Let the callback write histograms:

    tf.keras.callbacks.TensorBoard(logdir, histogram_freq=1)"""
_TORCH = """\
Log the buffers beside the parameters:

    for name, buffer in model.named_buffers():
        if "running_" in name and buffer.isfinite().any():  # the writer refuses NaN alone
            writer.add_histogram(name, buffer, step)"""
_JAX = """\
Log the collection of the statistics beside the parameters:

    for path, value in jax.tree_util.tree_leaves_with_path(state.batch_stats):
        writer.add_histogram("batch_stats" + jax.tree_util.keystr(path), value, step)"""

FIXES = {
    Framework.TF1: _TF1,
    Framework.KERAS: _KERAS,
    Framework.TORCH: _TORCH,
    Framework.JAX: _JAX,
    Framework.UNKNOWN: f"{_TORCH}\n\nTensorFlow 1: loop over tf.global_variables().",
}

_KERAS_TAG = re.compile(r"^(?:epoch|batch|evaluation)_")
_TORCH_FILE = re.compile(r"\.\d+\.\d+$")
"""torch and tensorboardX end names with process and number of the writer, TensorFlow 2 with `.v2`,
TensorFlow 1 with the host."""


def likely_framework(run: Run) -> Framework:
    """Returns who probably wrote a run, by its tags and the names of its files."""
    names = [file.path for file in run.files]
    if any(map(_KERAS_TAG.match, run.scalars)) or any(name.endswith(".v2") for name in names):
        return Framework.KERAS
    return Framework.TORCH if any(map(_TORCH_FILE.search, names)) else Framework.TF1


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers without statistics."""
    layers = [layer for layer in subject.layers if layer.motion is Motion.NOT_LOGGED]
    if not layers:
        return
    seen = next((tag for layer in layers for tag in layer.weights), None)
    gap = metrics.widest_gap((m for one in subject.experiment for m in one.metrics), limits)
    unseen = all(layer.motion is Motion.NOT_LOGGED for layer in subject.layers)
    yield Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} are not "
            f"logged: whether they are updated cannot be seen.{_parted(gap) if unseen else ''}"
        ),
        proof=(f"logged: {seen}" if seen else "the layers are in the graph or the configuration",),
        fix=FIXES[_fixes.framework_of(layers)],
        layers=tuple(layer.name for layer in layers),
        severity=Severity.WARNING if gap and unseen else None,
    )


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
