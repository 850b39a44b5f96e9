"""## What it does
Finds evaluation graphs that normalise with the statistics of the batch.

## Why is this bad?
The result for one example depends on the others in its batch: the figure changes with the batch
size and the order of the data, a batch of one gives nothing, and the moving statistics that will be
deployed are not what was measured.

## How it is decided
The run is one that evaluates (its name, or the names of its metrics say so), its graph has no
optimizer, and a layer of it has `is_training` True in the graph itself, not decided at run time.

## Example
    run eval/: no optimizer op
    FusedBatchNormV3: is_training True

## When it is wrong
When that is meant: domain adaptation by batch statistics, generators of GANs.

## How to fix it
Build the evaluation graph with `training=False`.

## References
- https://github.com/keras-team/keras/issues/3078
- https://github.com/BVLC/caffe/issues/5621
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.metrics import phase_of
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity

FIX = (
    "Build the evaluation graph with training=False, so that it normalises with the moving "
    "statistics that the deployed network will use."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such layers."""
    if subject.graph is None or subject.graph.trains or not _evaluates(subject):
        return
    names = [
        layer.name
        for layer in subject.layers
        if layer.wiring is not None and layer.wiring.training is True
    ]
    if names:
        yield Evidence(
            message=(
                f"This run evaluates, and its graph normalises {layers_in_words(names)} with the "
                "statistics of the batch: results depend on which examples share a batch."
            ),
            proof=(f"{names[0]}: training mode in a graph without optimizer",),
            fix=FIX,
            layers=tuple(names),
            confidence=Confidence.LIKELY,
        )


def _evaluates(subject: Subject) -> bool:
    named = phase_of(subject.run.name)
    phases = {metric.phase for metric in subject.metrics}
    return named == "eval" or (not named and phases == {"eval"})


RULE = Rule("BN408", "batch-statistics-in-evaluation", Severity.WARNING, check, __doc__ or "")
