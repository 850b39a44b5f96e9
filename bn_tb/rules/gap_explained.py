"""## What it does
Says that a gap between training and evaluation metrics is not overfitting, because the moving
statistics explain it.

## Why is this bad?
More data, dropout and weight decay do not help against this gap. The network may be fine: it is
evaluated with wrong statistics.

## How it is decided
Both must hold at the last evaluation:

- a metric parts: accuracy-like ones (between 0 and 1, or per cent) are more than `gap` = 0.2 better
  in training; or a loss fell below `fell` = 0.7 of its first value in training, while in evaluation
  it is more than `worse` = 2 times the training loss and no lower than `stuck` = 0.5 of the first
  one: not even half of the way;
- a finding of this run explains it: statistics never updated, stopped, intermittent, half updated,
  reset or not copied (BN101, BN103 to BN107), still more than 37 % initial values (BN201 as an
  error), or broken (BN301, BN302, BN304).

Real overfitting with healthy statistics stays silent. Metrics are paired by name across the runs of
an experiment (`train/accuracy` and `validation/accuracy`, `accuracy` and `val_accuracy`).
It is reported once an experiment, in the run that holds the statistics.

## Example
    accuracy 0.99 in training, 0.11 in evaluation, moving statistics never updated

## When it is wrong
A network can overfit and have wrong statistics at the same time: after the fix a smaller gap may be
left.

## How to fix it
Fix the cause that is named. The weights need no new training.

## References
- https://github.com/tensorflow/tensorflow/issues/1122
- https://github.com/keras-team/keras/issues/7177
"""

from collections.abc import Iterator, Mapping

from bn_tb.evidence.metrics import Gap
from bn_tb.rules._gap import EXPLAINED_LIMITS
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity

EXPLAINS = {
    "BN101": "the moving statistics were never updated",
    "BN103": "the updates of the moving statistics stopped",
    "BN104": "the moving statistics are updated only at times",
    "BN105": "only half of the moving statistics is updated",
    "BN106": "the moving statistics were lost at a restart",
    "BN107": "the copy has no moving statistics",
    "BN201": "most of the moving statistics is still their initial value",
    "BN301": "the moving statistics are not finite",
    "BN302": "a moving variance is negative",
    "BN304": "the moving variance exploded",
}


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields evidence if metrics part and a finding before explains it."""
    causes = {code: pieces for code in EXPLAINS if (pieces := _causes(subject, code))}
    if not causes:
        return
    gap = subject.gap(limits)
    if gap is None:
        return
    code = next(iter(causes))
    evidence = [piece for pieces in causes.values() for piece in pieces]
    yield Evidence(
        message=(
            f"This is not overfitting: {gap.name} is {gap.train:.3g} in training and "
            f"{gap.evaluation:.3g} in evaluation, because {EXPLAINS[code]} ({', '.join(causes)})."
        ),
        proof=_lines(gap),
        fix=evidence[0].fix,
        layers=tuple(dict.fromkeys(layer for piece in evidence for layer in piece.layers)),
        step=gap.step,
        confidence=min(max(piece.confidence for piece in evidence), Confidence.CONFIRMED),
        causes=tuple(causes),
    )


def _causes(subject: Subject, code: str) -> tuple[Evidence, ...]:
    pieces = tuple(piece for piece in subject.found.of(code) if not piece.over)
    if code == "BN201":
        return tuple(piece for piece in pieces if piece.severity is Severity.ERROR)
    if code == "BN101":  # of a copy BN107 speaks
        copied = {name for piece in subject.found.of("BN107") for name in piece.layers}
        return tuple(piece for piece in pieces if not copied.issuperset(piece.layers))
    return pieces


def _lines(gap: Gap) -> tuple[str, ...]:
    return (
        f"{gap.pair.train.tag} (run {gap.pair.train.run}): {gap.train:.4g}",
        f"{gap.pair.evaluation.tag} (run {gap.pair.evaluation.run}): {gap.evaluation:.4g} "
        f"at step {gap.step}",
    )


RULE = Rule(
    "BN501",
    "gap-explained",
    Severity.ERROR,
    check,
    __doc__ or "",
    EXPLAINED_LIMITS,
    once=True,
    tells_cost=True,
)
