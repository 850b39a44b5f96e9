"""## What it does
Finds layers whose updates hang on the loss, or on another op that the optimizer never evaluates.

## Why is this bad?
Gradients do not depend on the value of the loss, so a train op does not run what hangs on it. The
updates run only at steps at which the program fetches the loss too: never, or by luck.

## How it is decided
The graph trains, and the update op is reached backwards along data and control edges only from ops
that no optimizer's apply op needs, such as `tf.identity(loss)` under control dependencies.

Histograms that stand still make it the cause of BN101. Where they move the program fetches the loss
and the finding stays, as a suspicion: the next change of the logging code stops the updates.

## Example
    with tf.control_dependencies(update_ops):
        loss = tf.identity(loss)
    train_op = optimizer.minimize(loss)      # does not run the updates

## When it is wrong
When the program fetches the loss at every step, for ever, on purpose.

## How to fix it
Put the dependencies around `minimize` (or `apply_gradients`), not around the loss.

## References
- https://github.com/tensorflow/tensorflow/issues/9179
- https://github.com/tensorflow/tensorflow/issues/7577
"""

from collections.abc import Iterator, Mapping

from bn_tb.graph.graph_evidence import Wiring
from bn_tb.rules import _fixes
from bn_tb.rules._wiring import by_motion, frozen_on_purpose, op_lines, wiring_of
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence apart for layers that move, stand still and are not logged."""
    if subject.graph is None or not subject.graph.trains:
        return
    on_loss = [
        layer
        for layer in subject.layers
        if layer.wiring is not None and wiring_of(layer.wiring) is Wiring.LOSS
        if not frozen_on_purpose(layer)
    ]
    for layers, severity, confidence, _ in by_motion(on_loss):
        moves = severity is Severity.INFO
        remark = "; they move only because the program fetches it" if moves else ""
        yield Evidence(
            message=(
                f"The updates of {layers_in_words([layer.name for layer in layers])} hang on the "
                "loss or another op that the optimizer never evaluates, so the train op alone "
                f"does not run them{remark}."
            ),
            proof=op_lines(layers, subject.graph),
            fix=_fixes.TF1_WIRING,
            layers=tuple(layer.name for layer in layers),
            confidence=Confidence.SUSPECT if moves else confidence,
        )


RULE = Rule(
    "BN402",
    "updates-wired-to-loss",
    Severity.WARNING,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.STALE, least=Confidence.LIKELY),
)
