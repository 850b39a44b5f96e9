"""Forward passes of one layer, by what they were for."""

import collections

STRETCH = 4
"""Passes without gradients between two optimizer steps, beyond twice the usual number of them, that
are an evaluation: validation sets have more batches; a generator that is run for its discriminator,
or activations that are computed again, have one or two at each step."""
RARE = 0.25
"""Share of the steps, at most, that an evaluation comes before: what comes before more is usual."""


class Passes:
    """Counts passes; which of those in training mode were for training shows afterwards.

    A pass in training mode without gradients may be training (a generator's, for the step of its
    discriminator) or a validation in the wrong mode. Validations are told by their rhythm: long
    stretches, now and then.

    Attributes:
      evaluation: Passes in evaluation mode.
    """

    def __init__(self) -> None:
        self.evaluation = 0
        self._learning = self._waiting = 0
        self._between: collections.Counter[int] = collections.Counter()

    def add(self, training: bool, gradients: bool) -> None:
        """Counts one pass.

        Args:
          training: Whether the layer is in training mode.
          gradients: Whether gradients are recorded.
        """
        if not training:
            self.evaluation += 1
        elif gradients:
            self._learning += 1
        else:
            self._waiting += 1

    def step(self) -> None:
        """Notes that the optimizer made a step."""
        self._between[self._waiting] += 1
        self._waiting = 0

    @property
    def counted(self) -> bool:
        """Whether any pass was seen; a layer that was compiled with its model shows none."""
        return bool(
            self.evaluation or self._learning or self._waiting or max(self._between, default=0)
        )

    @property
    def for_training(self) -> int:
        """Passes in training mode but for those of two or more evaluations."""
        everything = sum(passes * times for passes, times in self._between.items())
        usual = max(self._between, key=lambda passes: self._between[passes], default=0)
        stretches = {
            passes: times for passes, times in self._between.items() if passes > 2 * usual + STRETCH
        }
        times = sum(stretches.values())
        if times < 2 or times > RARE * self._between.total():
            stretches = {}
        evaluated = sum(passes * times for passes, times in stretches.items())
        return self._learning + self._waiting + everything - evaluated
