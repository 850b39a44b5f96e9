"""## What it does
Finds moving statistics that are updated by evaluation batches too.

## Why is this bad?
A validation that runs in training mode shows its data to the moving averages: its own metric is
that of training mode, better than what the deployed model will reach, and the statistics that are
saved are those of the data that happened to be evaluated last.

## How it is decided
- A monitor counts passes: the statistics of a layer were updated more often than it was called in
  training mode for training (`num_batches_tracked` above `training_passes`, by more than `share` =
  5 %): counted, a warning. Passes in training mode without gradients are training (the generator's,
  for a step of its discriminator) unless they come now and then in long stretches.
- `num_batches_tracked` is logged at every step: it grows by exactly one update a step between
  evaluations, and by more than `jump` = 1.2 updates a step across each of `evaluations` = 2 or more
  steps at which an evaluation metric is logged: a warning.

Where every logged interval contains an evaluation nobody can tell several passes a step from passes
in evaluation: BN205.

## Example
    bn1.num_batches_tracked   +1 a step, +33 across each of the steps 100, 200, 300

## When it is wrong
Statistics that are re-estimated on purpose before each evaluation (precise BN, SWA's update_bn).

## How to fix it
Call `model.eval()` before every validation and `model.train()` after it; Keras: `model(x,
training=False)`, which `evaluate` and `predict` do by themselves.

## References
- https://discuss.pytorch.org/t/model-eval-gives-incorrect-loss-for-model-with-batchnorm-layers/7561
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.layers import BatchNormLayer
from bn_tb.rules._words import count, layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity
from bn_tb.runs.series import IntArray, distinct
from bn_tb.runs.tags import Role

LIMITS = {
    "share": Limit(
        0.05, "updates beyond training passes / training passes", "a few warm-up passes"
    ),
    "jump": Limit(1.2, "updates a step", "one more batch within five steps"),
    "evaluations": Limit(2, "evaluations", "once may be anything"),
}
FIX = """\
Evaluate in evaluation mode:

    model.eval()
    with torch.no_grad():
        validate(model)
    model.train()

Keras: model(x, training=False)."""


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such layers."""
    steps = [
        metric.series.steps
        for other in subject.experiment
        for metric in other.metrics
        if metric.phase == "eval"
    ]
    evaluated = distinct(np.concatenate([np.zeros(0, np.int64), *steps]))
    found = {
        layer.name: line
        for layer in subject.layers
        if (line := _passes(layer, limits) or _jumps(layer, evaluated, limits))
    }
    if found:
        yield Evidence(
            message=(
                f"The moving statistics of {layers_in_words(list(found))} are updated by "
                "evaluation batches too: some evaluation runs in training mode."
            ),
            proof=tuple(f"{name}: {line}" for name, line in list(found.items())[:3]),
            fix=FIX,
            layers=tuple(found),
        )


def _passes(layer: BatchNormLayer, limits: Mapping[str, float]) -> str:
    updates = layer.counters.get(Role.UPDATE_COUNT)
    passes = layer.counters.get(Role.TRAINING_PASSES)
    if updates is None or passes is None:
        return ""
    steps = np.intersect1d(updates.steps, passes.steps)
    if not steps.size:
        return ""
    made, wanted = (
        float(np.diff(one.values[np.searchsorted(one.steps, steps[[0, -1]])])[0])
        for one in (updates, passes)
    )
    if not made > wanted * (1 + limits["share"]) > 0:
        return ""
    return f"{count(made, 'update')} where training made {wanted:.0f}"


def _jumps(layer: BatchNormLayer, evaluated: IntArray, limits: Mapping[str, float]) -> str:
    counter = layer.counters.get(Role.UPDATE_COUNT)
    if counter is None or counter.steps.size < 3 or not evaluated.size:
        return ""
    pace = np.diff(counter.values) / np.diff(counter.steps)
    # An evaluation logged at a step ran before or after the counter was logged there.
    after = np.searchsorted(counter.steps, evaluated, "right")
    across = np.zeros(pace.size, bool)
    for at in (after - 1, after - 2):
        across[at[(at >= 0) & (at < pace.size)]] = True
    fast = pace > limits["jump"]
    if not (pace[~across] == 1).all() or not (~across).any():
        return ""
    if fast.sum() < limits["evaluations"] or (fast & ~across).any():
        return ""
    more = np.diff(counter.values)[fast] - np.diff(counter.steps)[fast]
    steps = ", ".join(str(step) for step in counter.steps[1:][fast][:3].tolist())
    return f"one update a step, and {np.median(more):.0f} more across evaluations, at steps {steps}"


RULE = Rule(
    "BN206", "updated-in-evaluation", Severity.WARNING, check, __doc__ or "", LIMITS,
    covers=("BN204", "BN205"),
)  # fmt: skip
