"""One batch-norm layer of a run: its series, its graph, what its statistics did."""

import dataclasses
import enum
import functools
from collections.abc import Mapping

from bn_tb.graph.graph_evidence import LayerWiring
from bn_tb.layers import trajectory
from bn_tb.runs.series import HistogramSeries, ScalarSeries
from bn_tb.runs.tags import Role

INITIAL = {Role.MOVING_MEAN: 0.0, Role.MOVING_VARIANCE: 1.0}
"""Initial values in every framework met (Keras, tf.layers, slim, PyTorch, Flax, tensorpack)."""


_FLOAT32 = 1e-6
"""Relative rounding of a float32 and of its square, generously."""
_LARGEST_NORM = 512.0
"""Of ones in 2**18 channels; of more, any number is near a root."""


class Framework(enum.Enum):
    """Whose code to show in a fix."""

    TF1 = "TensorFlow 1"
    KERAS = "Keras"
    TORCH = "PyTorch"
    JAX = "JAX"
    UNKNOWN = "unknown"


class Motion(enum.Enum):
    """What the two statistics did between the first and the last point."""

    NOT_LOGGED = "not logged"
    SNAPSHOT = "fewer than two steps"
    INITIAL = "both still at their initial values, at two steps or in a checkpoint"
    CONSTANT = "constant at other values"
    HALF = "one moves, the other is still at its initial value"
    MOVING = "moving"


@dataclasses.dataclass(frozen=True)
class BatchNormLayer:
    """One batch-norm layer of one run.

    Attributes:
      name: The layer, such as `NoCD/conv0/batch_normalization`.
      mean_tag: Tag of the moving mean, or an empty string if it is not logged.
      variance_tag: Tag of the moving variance, or an empty string if it is not logged.
      mean: Series of the moving mean over channels, or None; steps strictly increase (see
        `trajectory.as_shown`; what was written is in the run).
      variance: Series of the moving variance over channels, or None.
      weights: Other logged variables of this layer (gamma, beta, ...) by tag.
      counters: What is counted for this layer alone, by role (`tags.COUNTERS`); steps strictly
        increase.
      wiring: What the graph says of this layer, or None.
      momentum: Weight of the old value per update, or None if unknown.
      momentum_source: `graph`, `keras_config`, `flag`, `monitor`, `measured`, or None.
      framework: Who wrote it, as far as its names tell.
      mixed: How many layers share its tags; 1 when it stands alone.
      position: Its place among them within a step, from 1; 0 if they could not be told apart.
      sources: Where its statistics come from: `histogram`, `checkpoint`.
      renorm: Whether it is one of batch renormalisation, whose weights fit averages that training
        normalises with; the standard deviation is averaged then, and not the variance.
      counted: Updates of the weights until the last checkpoint, or None if it does not say.
    """

    name: str
    mean_tag: str = ""
    variance_tag: str = ""
    mean: HistogramSeries | None = None
    variance: HistogramSeries | None = None
    weights: Mapping[str, HistogramSeries] = dataclasses.field(default_factory=dict)
    counters: Mapping[Role, ScalarSeries] = dataclasses.field(default_factory=dict)
    wiring: LayerWiring | None = None
    momentum: float | None = None
    momentum_source: str | None = None
    framework: Framework = Framework.UNKNOWN
    mixed: int = 1
    position: int = 0
    sources: tuple[str, ...] = ("histogram",)
    renorm: bool = False
    counted: float | None = None

    @property
    def statistics(self) -> tuple[tuple[Role, HistogramSeries], ...]:
        """The statistics that are logged."""
        pairs = ((Role.MOVING_MEAN, self.mean), (Role.MOVING_VARIANCE, self.variance))
        return tuple((role, series) for role, series in pairs if series is not None)

    @functools.cached_property
    def finite(self) -> tuple[tuple[Role, HistogramSeries], ...]:
        """The statistics that are logged, up to the first point with NaN or infinity."""
        return tuple((role, trajectory.finite_part(series)) for role, series in self.statistics)

    @functools.cached_property
    def changes(self) -> tuple[trajectory.BoolArray, ...]:
        """Whether each point differs from the one before, once for each of `finite`."""
        return tuple(trajectory.changes(series) for _, series in self.finite)

    @functools.cached_property
    def motion(self) -> Motion:
        """What the statistics did, judged by all points before the first NaN or infinity."""
        if not self.statistics:
            return Motion.NOT_LOGGED
        fewest = min(series.steps.size for _, series in self.finite)
        if fewest < (1 if self.saved else 2) or self.mixed > 1 > self.position:
            return Motion.SNAPSHOT
        held = [self.at_initial(role, series) for role, series in self.finite]
        if all(held):
            return Motion.INITIAL
        if fewest < 2:
            return Motion.SNAPSHOT
        moves = [bool(changes.any()) for changes in self.changes]
        if not any(moves):
            return Motion.CONSTANT
        return Motion.HALF if any(held) else Motion.MOVING

    @property
    def saved(self) -> bool:
        """Whether its statistics come from checkpoints alone: exact, and after training."""
        return self.sources == ("checkpoint",)

    @property
    def updates(self) -> float | None:
        """Updates of the statistics until the last point, as counted, or None."""
        counter = self.counters.get(Role.UPDATE_COUNT)
        if counter is None or not counter.values.size:
            return self.counted
        return float(counter.values[-1])

    @property
    def epsilon(self) -> float:
        """What is added to the variance: as the graph says, else the framework's default."""
        if self.wiring is not None and self.wiring.epsilon:
            return self.wiring.epsilon
        return 1e-5 if self.framework in (Framework.TORCH, Framework.JAX) else 1e-3

    @property
    def steps(self) -> tuple[int, int] | None:
        """First and last step at which a statistic was logged, or None."""
        sizes = [series.steps for _, series in self.statistics if series.steps.size]
        if not sizes:
            return None
        return int(min(steps[0] for steps in sizes)), int(max(steps[-1] for steps in sizes))

    def at_initial(self, role: Role, series: HistogramSeries) -> bool:
        """Returns whether every point of a statistic holds exactly its initial value."""
        if series.minimum[0] != series.maximum[0]:
            return False
        return bool(trajectory.holds(series, self.initial(role, series)).all())

    def initial(self, role: Role, series: HistogramSeries) -> float:
        """Returns the initial value of a statistic.

        That is what the graph says, else 0 and 1. tf.train.ExponentialMovingAverage starts averages
        of tensors at 0, variances too, which a variance of exactly 0 at its first point gives away.
        """
        if self.wiring is not None and role in self.wiring.initial:
            return self.wiring.initial[role]
        if series.minimum[0] == series.maximum[0] == 0.0:
            return 0.0
        if role is Role.MOVING_VARIANCE and self.norm_of_ones(series):
            return float(series.minimum[0])
        return INITIAL[role]

    def norm_of_ones(self, variance: HistogramSeries) -> bool:
        """Returns whether a variance that is logged as one number begins as the norm of ones.

        The root of 8 with a mean whose norm is 0 is that of eight channels at their initial values;
        statistics of data have no mean of exactly 0.
        """
        if self.mean is None or not self.mean.count.size or variance.count[0] != 1:
            return False
        if not self.mean.minimum[0] == self.mean.maximum[0] == 0.0:
            return False
        first = float(variance.minimum[0])
        if not 1 < first < _LARGEST_NORM:
            return False
        return abs(first**2 - round(first**2)) <= _FLOAT32 * first**2 and first**2 > 1.5
