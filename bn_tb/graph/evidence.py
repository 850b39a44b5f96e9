"""What graphs prove about batch norm: plain values, made by `graph.read`."""

import dataclasses
import enum
from collections.abc import Mapping

from bn_tb.tags import Role


class Wiring(enum.Enum):
    """Which nodes need an update op, by data and control edges."""

    TRAIN = "train"
    """Some node needs both the update and an optimizer's apply op."""
    LOSS = "loss"
    """Only the loss, or an op the optimizer never evaluates, needs it."""
    NONE = "none"
    """Nothing needs it; a program may still fetch it in session.run."""
    OTHER_MODEL = "other_model"
    """Only another model's train op needs it."""


@dataclasses.dataclass(frozen=True)
class UpdateOp:
    """One op that writes a moving statistic.

    Attributes:
      name: Node name, such as `conv0/bn/AssignMovingAvg`.
      op: Node type, such as `AssignSubVariableOp`.
      momentum: Weight of the old value per update in [0, 1]; None when dynamic or unknown.
      wiring: What needs it.
      needed_by: Name of a node that proves the wiring, such as `train/Adam`; empty for NONE.
    """

    name: str
    op: str
    momentum: float | None
    wiring: Wiring
    needed_by: str = ""


@dataclasses.dataclass(frozen=True)
class LayerWiring:
    """A batch-norm layer as the graph shows it.

    Attributes:
      layer: Layer name as in tags: the variables' common scope.
      variables: Role of each moving variable to its variable name.
      updates: Role to the ops that write the variable; empty tuples where there are none.
      training: Whether the layer normalises with batch statistics: True, False (inference mode),
        or None when that is decided at run time or unknown.
      momentum: Weight of the old value per update, or None.
      epsilon: Added to the variance, or None.
      in_update_ops: Whether its updates are in the `update_ops` collection; None without MetaGraph.
      keras: Whether the layer was made by Keras.
      saved: Whether SaveV2 ops save its statistics (None: no SaveV2 saves its weights either).
      momentum_source: `graph` if an op or attribute says the momentum, `keras_config` if the JSON
        of a Keras model does.
      initial: Initial value of each moving variable where the graph tells it as one number.
      zero_debias: Whether the averages are corrected for their initial value, as `biased` and
        `local_step` variables beside them show; such averages never lag.
    """

    layer: str
    variables: Mapping[Role, str]
    updates: Mapping[Role, tuple[UpdateOp, ...]]
    training: bool | None = None
    momentum: float | None = None
    epsilon: float | None = None
    in_update_ops: bool | None = None
    keras: bool = False
    saved: bool | None = None
    momentum_source: str = "graph"
    initial: Mapping[Role, float] = dataclasses.field(default_factory=dict)
    zero_debias: bool = False


@dataclasses.dataclass(frozen=True)
class GraphEvidence:
    """All that the graphs of one run prove.

    Attributes:
      trains: Whether an optimizer's apply ops are in a graph. Without them a graph is for
        inference or model building and proves nothing about training.
      optimizer_ops: Names of the optimizer's apply ops, sorted.
      layers: Layers by name.
      cross_model: (train op, layer) pairs in which a train op needs another model's updates.
      problems: One line per graph that could not be decoded.
    """

    trains: bool = False
    optimizer_ops: tuple[str, ...] = ()
    layers: Mapping[str, LayerWiring] = dataclasses.field(default_factory=dict)
    cross_model: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
