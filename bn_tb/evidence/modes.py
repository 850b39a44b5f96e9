"""What a model in memory does with the same batches in evaluation and in training mode."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class LayerModes:
    """One layer.

    Attributes:
      name: Name in the model.
      means: Root mean square over channels of the distance between stored means and those of the
        batches, in standard deviations of the batches.
      ratio: Geometric mean over channels of stored variance / variance of the batches.
      initial: Whether the statistics are exactly 0 and 1.
      share: Share of the initial values that explains both distances, in [0, 1], or None.
      momentum: Weight of the old value per update, or None.
      frozen: Whether the layer is frozen.
      finite: Whether all of its statistics are.
      least: Its smallest variance.
    """

    name: str
    means: float
    ratio: float
    initial: bool = False
    share: float | None = None
    momentum: float | None = None
    frozen: bool = False
    finite: bool = True
    least: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether evaluation takes the root of a negative number, or is not finite."""
        return not self.finite or self.least < 0


@dataclasses.dataclass(frozen=True)
class Modes:
    """A model.

    Attributes:
      layers: Its batch-norm layers that batches reach.
      difference: How far outputs are apart in both modes, root mean square relative to their
        standard deviation in training mode, or None.
      scores: Share of right answers in evaluation and training mode, or None without labels.
      batches: Number of batches.
      session: Whether it is a TensorFlow 1 session.
    """

    layers: tuple[LayerModes, ...]
    difference: float | None
    scores: tuple[float, float] | None
    batches: int
    session: bool = False
