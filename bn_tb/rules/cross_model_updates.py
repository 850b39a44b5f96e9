"""## What it does
Finds train ops that run the updates of another model's batch norm.

## Why is this bad?
`tf.get_collection(UPDATE_OPS, scope="net")` takes every name that begins with `net`, also those of
`net_b`: a scope is a prefix, matched as a regular expression. Training one model then feeds its
batches into the other model's statistics, or needs placeholders that nobody feeds.

## How it is decided
In the graph a train op needs update ops of a layer that belongs to another model: a model whose
weights this train op does not write and whose output its loss does not use.

## Example
    net/train: needs net/bn/AssignMovingAvg and net_b/bn/AssignMovingAvg

## When it is wrong
Two networks that are trained together by two optimizers of one train op.

## How to fix it
End the scope with a slash: `tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope="net/")`.

## References
- https://www.tensorflow.org/api_docs/python/tf/compat/v1/get_collection
"""

from collections.abc import Iterator, Mapping

from bn_tb.rules._words import layers_in_words, shortened
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity

FIX = (
    "Restrict the updates to the model that is trained, with the slash that ends its scope:\n\n"
    '    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope="net/")'
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per train op."""
    if subject.graph is None:
        return
    names = {layer.wiring.layer: layer.name for layer in subject.layers if layer.wiring}
    for train_op in sorted({train_op for train_op, _ in subject.graph.cross_model}):
        others = [layer for other, layer in subject.graph.cross_model if other == train_op]
        layers = [names.get(layer, layer) for layer in others]
        yield Evidence(
            message=(
                f"The train op {shortened(train_op)} also runs updates of another model: of "
                f"{layers_in_words(layers)}."
            ),
            proof=tuple(f"{shortened(train_op)} needs updates of {name}" for name in layers[:3]),
            fix=FIX,
            layers=tuple(layers),
            confidence=Confidence.LIKELY,
        )


RULE = Rule("BN409", "cross-model-updates", Severity.WARNING, check, __doc__ or "")
