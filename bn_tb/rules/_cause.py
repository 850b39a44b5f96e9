"""What a cause is, and what several frameworks' causes begin with."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Cause:
    """One cause, equal for all layers that share it.

    Attributes:
      sentence: What it is, after the message; an empty string if nothing tells.
      fix: What to change.
      aftercare: What that means for the weights that were trained.
    """

    sentence: str
    fix: str
    aftercare: str


NO_WEIGHT = (
    "The counters of their updates grow, so the layers do run in training mode: the momentum gives "
    "new batches no weight (PyTorch: momentum=0, Keras and TensorFlow: momentum=1, Haiku: "
    "decay_rate=1)."
)

NOT_COUNTED = "The counters of their updates stand still: no batch updated them."
