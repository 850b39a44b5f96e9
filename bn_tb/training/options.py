"""What an experiment can be told, checked before tensorflow is imported."""

import dataclasses
import pathlib
import re

WIRINGS = ("control_deps", "group", "loss", "constructor", "fetched", "inference", "none")
ACTIVATIONS = ("relu", "elu", "selu")
NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)  # a variable scope, and one folder
DEFAULT_MOMENTUM = 0.99  # of tf.layers.batch_normalization


@dataclasses.dataclass(frozen=True)
class Options:
    """One experiment.

    Attributes:
      logdir: Folder that gets the run folders `<name>/train` and `<name>/test`.
      name: Variable scope of the model and name of its runs; empty for one made from the rest.
      wiring: Who runs the updates of the moving averages; one of `WIRINGS`.
      momentum: Of batch normalisation, weight of the old value, in `[0, 1)`; None for none.
      activation: One of `ACTIVATIONS`.
      epochs: Each ends with an evaluation on the whole test set.
      steps_per_epoch: Training steps.
      batch_size: Images of a step.
      learning_rate: Of Adam.
      histogram_every: Steps between two histograms of the moving statistics.
      save_every: Steps between two checkpoints; None for the end of each epoch.
      seed: Of the weights and of the order of the images.
      recalibrate: Whether the statistics are estimated anew after the training.
    """

    logdir: pathlib.Path
    name: str = ""
    wiring: str = "control_deps"
    momentum: float | None = DEFAULT_MOMENTUM
    activation: str = "relu"
    epochs: int = 10
    steps_per_epoch: int = 50
    batch_size: int = 100
    learning_rate: float = 0.001
    histogram_every: int = 1
    save_every: int | None = None
    seed: int = 0
    recalibrate: bool = False

    @property
    def training(self) -> bool:
        """What the placeholder `training` is fed in training steps."""
        return self.wiring != "inference"

    @property
    def scope(self) -> str:
        """The name, or else what differs from the default: `BN`, `NoCD`, `BN_momentum0.9`."""
        if self.name:
            return self.name
        if self.momentum is None:
            parts = ["vanilla"]
        else:
            parts = [{"control_deps": "BN", "none": "NoCD"}.get(self.wiring, f"BN_{self.wiring}")]
            if self.momentum != DEFAULT_MOMENTUM:
                parts.append(f"momentum{self.momentum:g}")
        if self.activation != "relu":
            parts.append(self.activation)
        return "_".join(parts)
