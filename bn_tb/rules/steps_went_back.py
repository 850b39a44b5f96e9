"""## What it does
Says that steps of a run went back: a restart, or several programs that wrote into one folder.

## Why is this bad?
Curves of two runs in one folder look like one run. What was written last counts, as in TensorBoard:
points that a restart writes again replace those before.

## How it is decided
A series of the run has a point with a lower step than the point written before it.

## Example
    moving_mean: step 500, then step 0

## When it is wrong
Writers that flush from several threads may swap neighbours.

## How to fix it
Give each run a folder of its own; after a crash restore the step with the checkpoint.

## References
- https://github.com/tensorflow/tensorboard/blob/master/README.md
"""

from collections.abc import Iterator, Mapping

from bn_tb.rules._words import shortened
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence with the widest step back."""
    widest, line, step = 0, "", None
    steps_of = {tag: series.steps for tag, series in subject.run.histograms.items()}
    steps_of.update({tag: series.steps for tag, series in subject.run.scalars.items()})
    for tag, steps in steps_of.items():
        back = steps[:-1] - steps[1:]
        if back.size and back.max() > widest:
            at = int(back.argmax())
            widest, step = int(back.max()), int(steps[at + 1])
            line = f"{shortened(tag)}: step {steps[at]}, then step {step}"
    if widest:
        writers = len(subject.run.sessions)
        yield Evidence(
            message=(
                f"The steps of this run went back to {step}: a restart, or several programs that "
                "wrote into one folder. What was written last was judged."
            ),
            proof=(line, f"{writers} writers" if writers > 1 else "one writer"),
            fix="Give each run a folder of its own; restore the step with the checkpoint.",
            step=step,
        )


RULE = Rule("BN905", "steps-went-back", Severity.INFO, check, __doc__ or "")
