"""What proves to a rule that training went on."""

import dataclasses

import numpy as np

from bn_tb.evidence.activity import change_steps
from bn_tb.layers import BatchNormLayer
from bn_tb.rules._words import count, shortened, span
from bn_tb.rules.subject import Subject
from bn_tb.runs.series import IntArray, distinct


@dataclasses.dataclass(frozen=True)
class Proof:
    """Why we say that a network was trained.

    Attributes:
      line: The sentence for the report.
      certain: Whether something that training changes did change.
    """

    line: str
    certain: bool


def proof_of_training(subject: Subject, last_step: int) -> Proof | None:
    """Returns what proves that the network was trained until `last_step`, or None.

    Weights say most, those of the run before those of its related runs; weights that are logged
    and stand still prove the contrary.
    """
    for other in subject.experiment:
        moved = other.activity.moved
        steps = other.activity.weight_steps(moved)
        if moved and (other is not subject or steps[0] <= last_step):
            also = f" and {count(len(moved) - 1, 'other weight')}" if len(moved) > 1 else ""
            line = f"{shortened(moved[0])}{also} changed, {span(steps)}"
            return Proof(line + _where(other, subject), True)
    if any(other.activity.weights_stand_still for other in subject.experiment):
        return None
    for other in subject.experiment:
        if other.activity.signs:
            line = shortened(other.activity.signs[0]) + _where(other, subject)
            return Proof(line, other.activity.counted)
    return _by_metric(subject, last_step) or _by_steps(subject)


def _by_metric(subject: Subject, last_step: int) -> Proof | None:
    for other in subject.experiment:
        tag, steps = other.activity.metric_tag, other.activity.metric_steps
        if tag and (other is not subject or steps[0] <= last_step):
            changed = count(steps.size, "step")
            line = f"the metric {shortened(tag)} changed at {changed} up to {steps[-1]}"
            return Proof(line + _where(other, subject), True)
    return None


def _by_steps(subject: Subject) -> Proof | None:
    if subject.run.first_step == subject.run.last_step:
        return None  # one checkpoint, in which nothing shows training
    return Proof("steps advance, and no weight or metric was logged that could tell more", False)


def _where(other: Subject, subject: Subject) -> str:
    return "" if other is subject else f" (run {shortened(other.run.name)})"


@dataclasses.dataclass(frozen=True)
class Pulse:
    """When the network of one layer was trained.

    Attributes:
      steps: Steps at which something that training changes differed from the point before.
      tag: What that is, for the report.
      by_weights: Whether weights show it; a metric changes with every batch, trained or not.
    """

    steps: IntArray
    tag: str
    by_weights: bool

    def between(self, steps: IntArray) -> IntArray:
        """Returns how often it beat in each interval `(steps[i], steps[i + 1]]`, int64."""
        beats: IntArray = np.diff(np.searchsorted(self.steps, steps, side="right"))
        return beats


def pulse_of(subject: Subject, layer: BatchNormLayer) -> Pulse | None:
    """Returns when the network of a layer was trained, or None if nothing logged can tell.

    The layer's own weights tell best: of two networks that train in turns each rests for a while.
    Else the weights of the same network (first component of the name), all weights, a metric.
    """
    activity = subject.activity
    network = layer.name.replace("/", ".").partition(".")[0]
    own = {tag: series for tag, series in layer.weights.items() if series.steps.size > 1}
    if own:
        changes = [change_steps(series) for series in own.values()]
        return Pulse(distinct(np.concatenate(changes)), f"{shortened(min(own))} changes", True)
    same = [tag for tag in activity.weights if tag.startswith(network)]
    tags = same or list(activity.weights)
    if tags:
        return Pulse(activity.weight_steps(tags), f"{shortened(tags[0])} changes", True)
    if activity.metric_tag:
        tag = f"the metric {shortened(activity.metric_tag)} changes"
        return Pulse(activity.metric_steps, tag, False)
    return None
