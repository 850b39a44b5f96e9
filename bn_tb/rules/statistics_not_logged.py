"""## What it does
Says that a run has batch norm but does not log its moving statistics.

## Why is this bad?
The statistics are what evaluation uses, and the only proof that they are updated. Usual logging
loops miss them: `tf.trainable_variables()` and `model.named_parameters()` do not contain them.

## How it is decided
The graph or a Keras configuration has batch-norm layers, or gamma and beta of layers with a name of
batch norm are logged, and no histogram of `moving_mean` or `moving_variance` is.

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

from bn_tb.layers import Framework, Motion
from bn_tb.rules import _fixes
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity

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
        if "running_" in name:
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


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers without statistics."""
    layers = [layer for layer in subject.layers if layer.motion is Motion.NOT_LOGGED]
    if not layers:
        return
    seen = next((tag for layer in layers for tag in layer.weights), None)
    yield Evidence(
        message=(
            f"The moving statistics of {layers_in_words([layer.name for layer in layers])} are not "
            "logged: whether they are updated cannot be seen."
        ),
        proof=(f"logged: {seen}" if seen else "the layers are in the graph or the configuration",),
        fix=FIXES[_fixes.framework_of(layers)],
        layers=tuple(layer.name for layer in layers),
    )


RULE = Rule("BN901", "statistics-not-logged", Severity.INFO, check, __doc__ or "")
