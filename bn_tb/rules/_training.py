"""What proves to a rule that training went on."""

import dataclasses

from bn_tb.activity import Activity
from bn_tb.rules._rule import Subject


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
        activity = other.activity
        if activity.weight_tag and (other is not subject or activity.weight_steps[0] <= last_step):
            return Proof(
                f"{activity.weight_tag} {_changed(activity)}{_where(other, subject)}", True
            )
    if any(other.activity.weights_stand_still for other in subject.experiment):
        return None
    for other in subject.experiment:
        activity = other.activity
        if activity.metric_tag and (other is not subject or activity.metric_steps[0] <= last_step):
            return Proof(f"the metric {activity.metric_tag} changed{_where(other, subject)}", True)
    return Proof("steps advance, and no weight or metric was logged that could tell more", False)


def _changed(activity: Activity) -> str:
    first, last = activity.weight_steps[0], activity.weight_steps[-1]
    return f"and other weights changed between steps {first} and {last}"


def _where(other: Subject, subject: Subject) -> str:
    return "" if other is subject else f" (run {other.run.name})"
