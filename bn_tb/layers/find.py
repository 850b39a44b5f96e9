"""Series and graph evidence put together into batch-norm layers."""

import dataclasses
import enum
import functools
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from bn_tb import mixing, trajectory
from bn_tb.graph.evidence import GraphEvidence, LayerWiring
from bn_tb.run import Run
from bn_tb.series import HistogramSeries
from bn_tb.tags import ParsedTag, Role, TagPatterns, parse_tag

INITIAL = {Role.MOVING_MEAN: 0.0, Role.MOVING_VARIANCE: 1.0}
"""Initial values in every framework met (Keras, tf.layers, slim, PyTorch, Flax, tensorpack)."""


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
    INITIAL = "both still at their initial values"
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
      wiring: What the graph says of this layer, or None.
      momentum: Weight of the old value per update, or None if unknown.
      momentum_source: `graph`, `keras_config`, `flag`, `measured`, or None.
      framework: Who wrote it, as far as its names tell.
      mixed: How many layers share its tags; 1 when it stands alone.
      position: Its place among them within a step, from 1; 0 if they could not be told apart.
    """

    name: str
    mean_tag: str = ""
    variance_tag: str = ""
    mean: HistogramSeries | None = None
    variance: HistogramSeries | None = None
    weights: Mapping[str, HistogramSeries] = dataclasses.field(default_factory=dict)
    wiring: LayerWiring | None = None
    momentum: float | None = None
    momentum_source: str | None = None
    framework: Framework = Framework.UNKNOWN
    mixed: int = 1
    position: int = 0

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
        if (
            min(series.steps.size for _, series in self.finite) < 2
            or self.mixed > 1 > self.position
        ):
            return Motion.SNAPSHOT
        held = [self.at_initial(role, series) for role, series in self.finite]
        if all(held):
            return Motion.INITIAL
        moves = [bool(changes.any()) for changes in self.changes]
        if not any(moves):
            return Motion.CONSTANT
        return Motion.HALF if any(held) else Motion.MOVING

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
        return INITIAL[role]


def find_layers(
    run: Run, graph: GraphEvidence | None = None, patterns: TagPatterns = TagPatterns()
) -> tuple[BatchNormLayer, ...]:
    """Returns the batch-norm layers of a run in the order in which they were first logged.

    A statistic alone is a layer only beside its partner, a gamma or beta, or a layer of this name
    in the graph; a gamma with a beta only under a name of batch norm. Layers that only the graph
    knows come last; of a model that is trained apart from every logged layer there are none, as the
    run says nothing of it.

    Args:
      run: The run.
      graph: What its graphs prove.
      patterns: Names of statistics taught by the user.
    """
    named: dict[str, list[ParsedTag]] = {}
    for tag in run.histograms:
        parsed = parse_tag(tag, patterns)
        if parsed:
            named.setdefault(parsed.layer, []).append(parsed)
    wirings = _Wirings(graph)
    layers = [
        layer for name, tags in named.items() for layer in _layers_named(name, tags, run, wirings)
    ]
    layers += [
        BatchNormLayer(wiring.layer, wiring=wiring, framework=_graph_framework(wiring))
        for wiring in wirings.unused()
        if not _trained_apart(wiring, layers)
    ]
    return tuple(map(_with_momentum, layers))


def _trained_apart(wiring: LayerWiring, logged: list[BatchNormLayer]) -> bool:
    """Returns whether a layer belongs to another model than all layers that are logged."""
    models = [layer.wiring.models for layer in logged if layer.wiring and layer.wiring.models]
    return bool(models and wiring.models) and wiring.models.isdisjoint(frozenset().union(*models))


class _Wirings:
    """Layers of the graph by name; logged names may have more in front, or less."""

    def __init__(self, graph: GraphEvidence | None) -> None:
        self._layers = dict(graph.layers) if graph else {}
        self._used: set[str] = set()
        self._by_end: dict[str, set[str]] = {}
        for name in self._layers:
            for end in _ends(name):
                self._by_end.setdefault(end, set()).add(name)

    def find(self, name: str) -> LayerWiring | None:
        """Returns the layer of this name; several namesakes are all used and none is returned."""
        candidates = {name} if name in self._layers else self._by_end.get(name, set())
        for end in _ends(name) if not candidates else ():
            if end in self._layers:
                candidates = {end}
                break
        candidates = candidates or self._by_end.get(f"{name}_1", set())
        self._used |= candidates
        if len(candidates) != 1:
            return None
        return self._layers[next(iter(candidates))]

    def unused(self) -> Iterator[LayerWiring]:
        return (wiring for name, wiring in self._layers.items() if name not in self._used)


def _ends(name: str) -> Iterator[str]:
    """Yields `a/b/c`, `b/c` and `c` for `a/b/c`."""
    yield name
    while "/" in name:
        name = name.partition("/")[2]
        if name:
            yield name


def _layers_named(
    name: str, tags: list[ParsedTag], run: Run, wirings: _Wirings
) -> Iterator[BatchNormLayer]:
    by_role: dict[Role, list[str]] = {}
    for parsed in tags:
        by_role.setdefault(parsed.role, []).append(parsed.tag)
    means = _distinct(by_role.get(Role.MOVING_MEAN, []), run)
    variances = _distinct(by_role.get(Role.MOVING_VARIANCE, []), run)
    wiring = wirings.find(name) if means or variances or Role.GAMMA in by_role else None
    if not _is_batch_norm(name, by_role, bool(means), bool(variances), wiring):
        return
    weights = {
        parsed.tag: run.histograms[parsed.tag]
        for parsed in tags
        if parsed.role in (Role.GAMMA, Role.BETA, Role.WEIGHT)
    }
    for at in range(max(len(means), len(variances), 1)):
        mean = means[at] if at < len(means) else ""
        variance = variances[at] if at < len(variances) else ""
        layer = BatchNormLayer(
            name=name if at == 0 else f"{name} ({mean or variance})",
            mean_tag=mean,
            variance_tag=variance,
            mean=run.histograms[mean] if mean else None,
            variance=run.histograms[variance] if variance else None,
            weights=weights,
            wiring=wiring,
            framework=_framework(tags, wiring),
        )
        yield from _unmixed(layer)


def _unmixed(layer: BatchNormLayer) -> Iterator[BatchNormLayer]:
    """Yields the layers that share the tags of `layer`, with histories as TensorBoard shows."""
    written = [series for _, series in layer.statistics]
    mixed = max((mixing.layers_sharing(series) for series in written), default=1)
    if mixed == 1:
        yield _shown(layer)
        return
    named = not layer.name and all(mixing.layers_sharing(series) == mixed for series in written)
    if not named and not all(mixing.differ_in_channels(series, mixed) for series in written):
        # One layer that was logged several times a step, as far as its name tells.
        yield _shown(layer if layer.name else dataclasses.replace(layer, mixed=mixed))
        return
    for at in range(mixed):
        yield _shown(
            dataclasses.replace(
                layer,
                name=f"{layer.name}#{at + 1}",
                mean=mixing.part(layer.mean, at, mixed),
                variance=mixing.part(layer.variance, at, mixed),
                weights={
                    tag: mixing.part(series, at, mixed)
                    for tag, series in layer.weights.items()
                    if mixing.layers_sharing(series) == mixed
                },
                mixed=mixed,
                position=at + 1,
            )
        )


def _shown(layer: BatchNormLayer) -> BatchNormLayer:
    return dataclasses.replace(
        layer,
        mean=layer.mean and trajectory.as_shown(layer.mean),
        variance=layer.variance and trajectory.as_shown(layer.variance),
        weights={tag: trajectory.as_shown(series) for tag, series in layer.weights.items()},
    )


_BATCH_NORM_NAME = re.compile(r"(?:batch|b)_?norm|(?:^|[/._])bn(?:$|[/._\d])", re.IGNORECASE)


def _is_batch_norm(
    name: str,
    by_role: Mapping[Role, list[str]],
    has_mean: bool,
    has_variance: bool,
    wiring: LayerWiring | None,
) -> bool:
    if has_mean and has_variance:
        return True
    parameters = [role for role in (Role.GAMMA, Role.BETA) if role in by_role]
    if has_mean or has_variance:
        return wiring is not None or bool(parameters) or _torch_pair(by_role)
    if len(parameters) == 2 or _torch_pair(by_role):
        return wiring is not None or bool(_BATCH_NORM_NAME.search(name))
    return False


def _torch_pair(by_role: Mapping[Role, list[str]]) -> bool:
    """Returns whether a layer has exactly a weight and a bias, as PyTorch names gamma and beta."""
    return len(by_role.get(Role.WEIGHT, [])) == 2


def _distinct(tags: Iterable[str], run: Run) -> list[str]:
    """Returns the tags of one statistic that stand for different variables.

    The same variable may be logged under several tags (`moving_mean`, `moving_mean_1`); two tags
    stand for two variables if they differ at a step that both have.
    """
    kept: list[str] = []
    for tag in sorted(tags, key=lambda tag: (-run.histograms[tag].steps.size, len(tag), tag)):
        if all(_differ(run.histograms[tag], run.histograms[other]) for other in kept):
            kept.append(tag)
    return sorted(kept, key=lambda tag: (len(tag), tag))


def _differ(one: HistogramSeries, other: HistogramSeries) -> bool:
    one, other = trajectory.as_shown(one), trajectory.as_shown(other)
    _, left, right = np.intersect1d(one.steps, other.steps, return_indices=True)
    return bool((one.identity[left] != other.identity[right]).any())


def _framework(tags: list[ParsedTag], wiring: LayerWiring | None) -> Framework:
    if wiring is not None:
        return _graph_framework(wiring)
    reasons = " ".join(parsed.reason for parsed in tags)
    if "PyTorch" in reasons:
        return Framework.TORCH
    if "Flax" in reasons or "Haiku" in reasons:
        return Framework.JAX
    if any(parsed.tag.endswith("/histogram") for parsed in tags):
        return Framework.KERAS
    return Framework.UNKNOWN


def _graph_framework(wiring: LayerWiring) -> Framework:
    return Framework.KERAS if wiring.keras else Framework.TF1


def _with_momentum(layer: BatchNormLayer) -> BatchNormLayer:
    wiring = layer.wiring
    if wiring is None or wiring.momentum is None:
        return layer
    return dataclasses.replace(
        layer, momentum=wiring.momentum, momentum_source=wiring.momentum_source
    )
