"""How far statistics that are stored are from those of batches, and what that means."""

import dataclasses

import numpy as np

from bn_tb.repair.model import Passes
from bn_tb.repair.moments import Statistics
from bn_tb.repair.outputs import Outputs

_EPSILON = 1e-5  # PyTorch's; keeps channels that are constant from dividing by 0
_ALIKE = 0.1
"""Range of the shares of the initial value that mean and variance of one layer may show: half of
the healthy and lagging toy trainings of scripts/calibrate_check.py were within 0.03."""
_BETTER = 0.05  # share of right answers; more than chance among some hundred examples


@dataclasses.dataclass(frozen=True)
class Distance:
    """One layer's stored statistics beside those of the batches.

    Attributes:
      layer: Name.
      means: Root mean square over channels of the distance of means, in standard deviations.
      ratio: Geometric mean over channels of stored variance / variance of the batches.
      initial: Whether both statistics hold exactly their initial values, 0 and 1.
      share: Share of the initial values that explains both distances, or None.
      frozen: Whether the layer is frozen.
      finite: Whether all stored statistics are.
      least: The smallest stored variance.
    """

    layer: str
    means: float
    ratio: float
    initial: bool
    share: float | None
    frozen: bool
    finite: bool
    least: float


def distances(passes: Passes) -> list[Distance]:
    """Returns how far each layer is from what it saw; layers that saw nothing are left out."""
    return [
        Distance(
            name,
            *distance(passes.stored[name], seen),
            initial=is_initial(passes.stored[name]),
            share=share_of_initial(passes.stored[name], seen),
            frozen=name in passes.frozen,
            finite=passes.stored[name].finite,
            least=float(np.nan_to_num(passes.stored[name].variance).min(initial=0.0)),
        )
        for name, seen in passes.seen.items()
    ]


def distance(stored: Statistics, seen: Statistics) -> tuple[float, float]:
    """Returns the distance of means in standard deviations, and the ratio of variances."""
    with np.errstate(all="ignore"):
        means = (stored.mean - seen.mean) / np.sqrt(seen.variance + _EPSILON)
        ratio = np.log((stored.variance + _EPSILON) / (seen.variance + _EPSILON))
        return float(np.sqrt(np.mean(means**2))), float(np.exp(np.mean(ratio)))


def is_initial(stored: Statistics) -> bool:
    """Returns whether every mean is exactly 0 and every variance exactly 1."""
    return bool((stored.mean == 0).all() and (stored.variance == 1).all())


def share_of_initial(stored: Statistics, seen: Statistics) -> float | None:
    """Returns the weight w with which stored = w * (0, 1) + (1 - w) * seen, or None.

    Mean and variance are fitted apart by least squares over channels and have to agree.
    """
    means = float(seen.mean @ seen.mean)
    away = 1 - seen.variance
    if not means or not away @ away:
        return None
    by_mean = 1 - float(stored.mean @ seen.mean) / means
    by_variance = float((stored.variance - seen.variance) @ away) / float(away @ away)
    if abs(by_mean - by_variance) > _ALIKE or not 0 <= by_mean <= 1:
        return None
    return by_mean


def is_worse(before: float, after: float) -> bool:
    """Returns whether one share of right answers is below another by more than chance."""
    return after < before - _BETTER


def refusal(before: float, after: float, outputs: Outputs) -> str:
    """Returns why statistics that were estimated are not kept, and what to do.

    Args:
      before: Share of right answers in evaluation mode with the statistics that the model has.
      after: The same with those of the batches.
      outputs: What the model made of all batches, which tells how their labels are mixed.
    """
    unlike = outputs.unmixed or (
        "the batches are not like those of training (sorted, of a few examples, or of other data)"
    )
    return (
        f"evaluation answers {before:.1%} right as it is and {after:.1%} with statistics of these "
        f"batches, so nothing was changed: either {unlike}; give shuffled training batches of 32 "
        "examples or more. Or the weights were trained with the statistics as they are (training "
        "ran in evaluation mode): then train the network anew. force=True keeps them all the same"
    )
