"""## What it does
Finds checkpoints that hold a layer's weights and not its moving statistics.

## Why is this bad?
Whoever restores such a checkpoint, for evaluation, serving or to go on, gets the initial values:
everything was trained well and works at chance (see BN106).

## How it is decided
A SaveV2 op of the training graph names variables of the layer or of the layer's network and not its
moving statistics, and no other SaveV2 op names them.

## Example
    save/SaveV2: bn/beta, bn/gamma, conv/kernel, ...
    bn/moving_mean, bn/moving_variance: in no SaveV2

## When it is wrong
When the statistics are estimated anew after every restore, on purpose.

## How to fix it
`tf.train.Saver()` or `tf.train.Saver(tf.global_variables())`, not `tf.trainable_variables()`.

## References
- https://github.com/tinghuiz/SfMLearner/issues/17
- https://github.com/cbfinn/maml/issues/33
"""

from collections.abc import Iterator, Mapping

from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity

FIX = (
    "Save all variables:\n\n    saver = tf.train.Saver(tf.global_variables())\n\n"
    "tf.trainable_variables() does not hold moving_mean and moving_variance."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all layers whose statistics are not saved."""
    if subject.graph is None or not subject.graph.trains:
        return
    names = [
        layer.name
        for layer in subject.layers
        if layer.wiring is not None and layer.wiring.saved is False
    ]
    if names:
        yield Evidence(
            message=(
                f"Checkpoints of this program hold the weights and not the moving statistics of "
                f"{layers_in_words(names)}: what is restored from them evaluates with the initial "
                "values."
            ),
            proof=("a SaveV2 op of the graph names the weights, none names the statistics",),
            fix=FIX,
            layers=tuple(names),
        )


RULE = Rule("BN407", "saver-without-statistics", Severity.WARNING, check, __doc__ or "")
