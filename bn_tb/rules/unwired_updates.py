"""## What it does
Finds layers of a training graph whose update ops exist while nothing that trains needs them.

## Why is this bad?
A TensorFlow 1 layer only creates the ops that update its moving averages. A train op that does not
depend on them leaves `moving_mean` at 0 and `moving_variance` at 1: see BN101.

## How it is decided
The graph has an optimizer's apply ops, and there is no node from which both such an op and the
update op are reached backwards along data and control edges. So `tf.control_dependencies` around
`minimize`, and `tf.group(train_op, *update_ops)`, both count as wired.

A graph alone never proves that the updates do not run: `session.run([train_op, update_ops])` leaves
no edge. Histograms that move make it info; histograms that stand still make it the cause of BN101;
without histograms it is likely.

## Example
    conv0/bn/AssignMovingAvg      needed by: nothing
    conv0/bn/AssignMovingAvg_1    needed by: nothing
    train/Adam                    needs: no update op

## When it is wrong
When the program fetches the update ops in session.run itself and logs no moving statistics.

## How to fix it
Build the train op last, under
`tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS))`. With several models restrict
the collection by scope, and end the scope with "/". Updates of a layer written by hand are in no
collection: depend on the op itself, such as that of `ema.apply`.

## References
- https://www.tensorflow.org/api_docs/python/tf/compat/v1/layers/batch_normalization
- https://github.com/tensorflow/tensorflow/issues/1122
"""

from collections.abc import Iterator, Mapping

from bn_tb.graph.graph_evidence import LayerWiring
from bn_tb.rules import _fixes
from bn_tb.rules._wiring import by_hand, uncollected, unneeded
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict

MESSAGE = (
    "The update ops of {layers} are in the graph, but nothing that runs the optimizer needs "
    "them{remark}."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence apart for layers that move, stand still and are not logged."""
    yield from unneeded(subject, _collected, MESSAGE, _fixes.kept(_fixes.TF1_WIRING))
    by_op = _fixes.kept(_fixes.HAND_WIRING, _fixes.BY_OPS.format("[update]"))
    yield from unneeded(subject, _by_hand, MESSAGE, by_op)


def _collected(wiring: LayerWiring) -> bool:
    """Returns whether neither BN404 speaks of a layer, nor that it was written by hand."""
    return not uncollected(wiring) and not _by_hand(wiring)


def _by_hand(wiring: LayerWiring) -> bool:
    if uncollected(wiring) or wiring.in_update_ops:
        return False
    return wiring.in_update_ops is False or by_hand(wiring)


RULE = Rule(
    "BN401",
    "unwired-updates",
    Severity.WARNING,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.STALE, least=Confidence.LIKELY),
)
