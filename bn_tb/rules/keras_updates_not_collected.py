"""## What it does
Finds Keras layers in a TensorFlow 1 graph whose updates nothing runs and UPDATE_OPS does not hold.

## Why is this bad?
Keras layers keep their updates to themselves. The code that is right for `tf.layers`,
`tf.control_dependencies(tf.get_collection(UPDATE_OPS))`, finds an empty collection and silently
does nothing: see BN101.

## How it is decided
As BN401 (nothing that runs the optimizer needs the updates), for layers whose update ops are not in
the `update_ops` collection, to which every layer of `tf.layers` adds its own, and that are built as
Keras builds them: switched by Keras' learning phase, or with `moving_mean` and `moving_variance` on
resource variables and updates named `AssignMovingAvg`. Averages written by hand are BN401's.
`model.fit` wires the updates itself and is seen as wired.

## Example
    collection update_ops: empty
    batch_normalization/AssignMovingAvg: needed by nothing

## When it is wrong
When the program fetches `model.updates` in session.run itself and logs no moving statistics.

## How to fix it
Use the layers' own updates of the call on your placeholder as control dependencies, or `model.fit`.

## References
- https://github.com/tensorflow/tensorflow/issues/19643
- https://github.com/tensorflow/tensorflow/issues/16102
"""

from collections.abc import Iterator, Mapping

from bn_tb.rules import _fixes
from bn_tb.rules._wiring import uncollected, unneeded
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict

MESSAGE = (
    "The updates of {layers} are not in UPDATE_OPS, because Keras layers keep them to themselves, "
    "and nothing that runs the optimizer needs them{remark}."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence apart for layers that move, stand still and are not logged."""
    fix = _fixes.kept(_fixes.KERAS_WIRING, _fixes.BY_OPS.format("updates"))
    return unneeded(subject, uncollected, MESSAGE, fix)


RULE = Rule(
    "BN404",
    "keras-updates-not-collected",
    Severity.WARNING,
    check,
    __doc__ or "",
    meaning=Meaning(Verdict.STALE, least=Confidence.LIKELY),
)
