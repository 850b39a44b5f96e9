"""What graphs prove about batch norm: plain values, made by `graph.read`."""

import dataclasses
import enum
from collections.abc import Mapping

from bn_tb.runs.tags import Role


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
class Hop:
    """One node of the part of a graph that proves a wiring.

    Attributes:
      node: Node name; `...` stands for the middle of a long path.
      op: Node type.
      edge: How it needs the hop before: `data`, `control`, `call` (it calls the function that the
        hop before is in), or empty for the first.
    """

    node: str
    op: str
    edge: str = ""


@dataclasses.dataclass(frozen=True)
class UpdateOp:
    """One op that writes a moving statistic.

    Attributes:
      name: Node name, such as `conv0/bn/AssignMovingAvg`.
      op: Node type, such as `AssignSubVariableOp`.
      momentum: Weight of the old value per update in [0, 1]; None when dynamic or unknown.
      wiring: What needs it.
      needed_by: Name of a node that proves the wiring, such as `train/Adam`; empty for NONE.
      dynamic: Whether the momentum is computed while training, such as a decay schedule.
      train_ops: Every train op that needs it.
      tower: The copy of the model that it is in, such as `tower_0`; empty outside of towers.
      ran: Whether a session.run that trained ran it, by the RunMetadata of a traced step; None
        without such a trace. True proves the update even where no edge does.
      path: From this op to `needed_by`; for NONE as far as its consumers reach.
    """

    name: str
    op: str
    momentum: float | None
    wiring: Wiring
    needed_by: str = ""
    dynamic: bool = False
    train_ops: tuple[str, ...] = ()
    tower: str = ""
    ran: bool | None = None
    path: tuple[Hop, ...] = ()


@dataclasses.dataclass(frozen=True)
class LayerWiring:
    """A batch-norm layer as the graph shows it.

    Attributes:
      layer: Layer name as in tags: the variables' common scope. In a graph of a tf.function, which
        does not name variables, the scope of the layer's ops, which may carry the model's name
        before and `_1` behind.
      variables: Role of each moving variable to its variable name.
      updates: Role to the ops that write the variable; empty tuples where there are none.
      training: Whether the layer normalises with batch statistics: True, False (inference mode),
        or None when that is decided at run time or unknown.
      momentum: Weight of the old value per update, or None.
      epsilon: Added to the variance, or None.
      in_update_ops: Whether its updates are in the `update_ops` collection; None without MetaGraph.
      keras: Whether the layer was made by Keras.
      torch: Whether a graph of PyTorch shows it, which knows nothing of updates.
      saved: Whether SaveV2 ops save its statistics (None: no SaveV2 saves its weights either).
      momentum_source: `graph` if an op or attribute says the momentum, `keras_config` if the JSON
        of a Keras model does.
      dynamic_momentum: Whether the momentum is computed while training.
      zero_debias: Whether the averages are corrected for their initial value, as `biased` and
        `local_step` variables beside them show; such averages never lag.
      renorm: Whether batch renormalisation corrects its batches to averages of their own.
      renorm_momentum: Weight of the old value per update of those averages, or None.
      initial: Role to the initial value where it is one constant, such as 0 and 1.
      switch: The placeholder that decides at run time between batch and moving statistics.
      switch_default: What `switch` is when nobody feeds it; None if it must be fed.
      trained: Whether an optimizer writes gamma or beta; None if there are none.
      copied: Whether gamma or beta is assigned from other variables, and no optimizer writes it: a
        target network, an average.
      models: Names of the train ops that train the model of the layer; empty where none is known.
      trainable: Keras' trainable flag; None without Keras configuration.
      axis: The axes that Keras' configuration keeps statistics for; empty without it.
      data_format: `channels_last` or `channels_first`, if the layer's input is known to be pictures
        and all two-dimensional layers of the Keras configuration agree; else empty.
    """

    layer: str
    variables: Mapping[Role, str]
    updates: Mapping[Role, tuple[UpdateOp, ...]]
    training: bool | None = None
    momentum: float | None = None
    epsilon: float | None = None
    in_update_ops: bool | None = None
    keras: bool = False
    torch: bool = False
    saved: bool | None = None
    momentum_source: str = "graph"
    dynamic_momentum: bool = False
    zero_debias: bool = False
    renorm: bool = False
    renorm_momentum: float | None = None
    initial: Mapping[Role, float] = dataclasses.field(default_factory=dict)
    switch: str = ""
    switch_default: bool | None = None
    trained: bool | None = None
    copied: bool = False
    models: frozenset[str] = frozenset()
    trainable: bool | None = None
    axis: tuple[int, ...] = ()
    data_format: str = ""


@dataclasses.dataclass(frozen=True)
class GraphEvidence:
    """All that the graphs of one run prove.

    Attributes:
      trains: Whether an optimizer's apply ops are in a graph. Without them a graph is for
        inference or model building and proves nothing about training.
      optimizer_ops: Names of the optimizer's apply ops, sorted.
      layers: Layers by name. Where some graph trains, only layers of graphs that train.
      cross_model: (train op, layer) pairs in which a train op needs another model's updates.
      problems: One line per graph that could not be decoded.
      train_ops: Names of the nodes that run the optimizer, one for each model trained apart.
      has_collections: Whether a MetaGraph was read, so that `in_update_ops` is known.
    """

    trains: bool = False
    optimizer_ops: tuple[str, ...] = ()
    layers: Mapping[str, LayerWiring] = dataclasses.field(default_factory=dict)
    cross_model: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    train_ops: tuple[str, ...] = ()
    has_collections: bool = False
