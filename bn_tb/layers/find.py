"""Series and graph evidence put together into batch-norm layers."""

import dataclasses
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring
from bn_tb.layers import mixing, trajectory
from bn_tb.layers.layer import BatchNormLayer, Framework
from bn_tb.layers.trees import join_trees
from bn_tb.runs.run import Run
from bn_tb.runs.series import HistogramSeries, ScalarSeries
from bn_tb.runs.tags import COUNTERS, ParsedTag, Role, TagPatterns, parse_tag


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
    join_trees(named)
    wirings, counters = _Wirings(graph, named.keys()), _counters(run, patterns)
    layers = [
        _with_source(dataclasses.replace(layer, counters=counters.get(layer.name, {})), run)
        for name, tags in named.items()
        for layer in _layers_named(name, tags, run, wirings)
    ]
    layers += [
        BatchNormLayer(
            wiring.layer,
            wiring=wiring,
            framework=_graph_framework(wiring),
            renorm=wiring.renorm,
        )
        for wiring in wirings.unused()
        if not _unheard_of(wiring, layers)
    ]
    return tuple(map(_with_momentum, layers))


def _counters(run: Run, patterns: TagPatterns) -> dict[str, dict[Role, ScalarSeries]]:
    """Returns the counters of each layer by role."""
    found: dict[str, dict[Role, ScalarSeries]] = {}
    for tag in dict.fromkeys((*run.histograms, *run.scalars)):
        parsed = parse_tag(tag, patterns)
        if parsed and parsed.role in COUNTERS:
            counter = run.scalars.get(tag) or _as_scalars(run.histograms[tag])
            found.setdefault(parsed.layer, {})[parsed.role] = trajectory.as_shown(counter)
    return found


def _as_scalars(series: HistogramSeries) -> ScalarSeries:
    return ScalarSeries(series.steps, series.wall_times, series.maximum)


def _unheard_of(wiring: LayerWiring, logged: list[BatchNormLayer]) -> bool:
    """Returns whether nothing is to be said of a layer of the graph that no tag names.

    It belongs to another model than all layers that are logged, or to a graph of PyTorch, whose
    programs often log statistics under names of their own.
    """
    if wiring.torch:
        return any(layer.statistics for layer in logged)
    models = [layer.wiring.models for layer in logged if layer.wiring and layer.wiring.models]
    return bool(models and wiring.models) and wiring.models.isdisjoint(frozenset().union(*models))


class _Wirings:
    """Layers of the graph by name; logged names may have more in front, or less."""

    def __init__(self, graph: GraphEvidence | None, logged: Collection[str]) -> None:
        self._layers = dict(graph.layers) if graph else {}
        self._logged = frozenset(logged)
        self._used: set[str] = set()
        self._by_end: dict[str, set[str]] = {}
        for name in self._layers:
            for end in _ends(name):
                self._by_end.setdefault(end, set()).add(name)

    def find(self, name: str) -> LayerWiring | None:
        """Returns the layer of this name; several namesakes are all used and none is returned."""
        if not self._layers:
            return None
        candidates = {name} if name in self._layers else self._by_end.get(name, set())
        for end in _ends(name) if not candidates else ():
            if end in self._layers:
                candidates = {end}
                break
        candidates = candidates or self._by_end.get(f"{name}_1", set()) or self._moved(name)
        self._used |= candidates
        if len(candidates) != 1:
            return None
        return self._layers[next(iter(candidates))]

    def _moved(self, name: str) -> set[str]:
        """Returns the layers of Keras that may have this name in another model.

        A layer keeps the path of the model that it was built in; one that is made of its layers
        later has a path of its own in the configuration.
        """
        namesakes = self._by_end.get(name.rsplit("/", 1)[-1], set())
        return {
            other
            for other in namesakes
            if self._layers[other].keras and self._logged.isdisjoint(_ends(other))
        }

    def unused(self) -> Iterator[LayerWiring]:
        return (wiring for name, wiring in self._layers.items() if name not in self._used)


_DEEPEST = 64  # scopes in scopes; networks have up to ten


def _ends(name: str) -> Iterator[str]:
    """Yields `a/b/c`, `b/c` and `c` for `a/b/c` or `a.b.c`; a number alone names nothing."""
    yield name
    for cut in itertools.islice(re.finditer("[/.]", name), _DEEPEST):
        end = name[cut.end() :]
        if end and not end.isdigit():
            yield end


def _layers_named(
    name: str, tags: list[ParsedTag], run: Run, wirings: _Wirings
) -> Iterator[BatchNormLayer]:
    by_role: dict[Role, list[str]] = {}
    for parsed in tags:
        by_role.setdefault(parsed.role, []).append(parsed.tag)
    means = _distinct(by_role.get(Role.MOVING_MEAN, []), run)
    variances = _distinct(by_role.get(Role.MOVING_VARIANCE, []), run)
    parameters = Role.GAMMA in by_role or _scale_and_offset(by_role, run)
    wiring = wirings.find(name) if means or variances or parameters else None
    if not _is_batch_norm(name, by_role, bool(means), bool(variances), run, wiring):
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
            renorm=Role.RENORM in by_role or (wiring is not None and wiring.renorm),
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


_BATCH_NORM_NAME = re.compile(
    r"(?:batch|b)_?norm|(?:^|_)bns?(?:$|[_\d])|[a-z\d]bn\d*$|bn[12]d", re.IGNORECASE
)


def _named_batch_norm(name: str) -> bool:
    """Returns whether the last module of a name says batch norm: `stem.bn`, `bns.0`, `ReLU_BN`.

    What is inside of a scope of such a name may be anything: `ReLU_BN/dense`.
    """
    parts = name.replace(".", "/").rsplit("/", 2)
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return bool(_BATCH_NORM_NAME.search(parts[-1]))


def _is_batch_norm(
    name: str,
    by_role: Mapping[Role, list[str]],
    has_mean: bool,
    has_variance: bool,
    run: Run,
    wiring: LayerWiring | None,
) -> bool:
    if has_mean and has_variance:
        return True
    parameters = [role for role in (Role.GAMMA, Role.BETA) if role in by_role]
    pair = _scale_and_offset(by_role, run)
    if has_mean or has_variance:
        return wiring is not None or bool(parameters) or pair
    if len(parameters) == 2 or pair:
        return wiring is not None or _named_batch_norm(name)
    return False


def _scale_and_offset(by_role: Mapping[Role, list[str]], run: Run) -> bool:
    """Returns whether a layer has exactly two weights of equal size, as PyTorch's weight and bias.

    The weight and the bias of a dense layer with one input are the only others of equal size.
    """
    weights = [run.histograms[tag] for tag in by_role.get(Role.WEIGHT, [])]
    if len(weights) != 2:
        return False
    return all(one.count.size for one in weights) and weights[0].count[0] == weights[1].count[0]


def _distinct(tags: Sequence[str], run: Run) -> list[str]:
    """Returns the tags of one statistic that stand for different variables.

    The same variable may be logged under several tags (`moving_mean`, `moving_mean_1`); two tags
    stand for two variables if they differ at a step that both have.
    """
    if len(tags) < 2:
        return list(tags)
    kept: list[str] = []
    for tag in sorted(tags, key=lambda tag: (-run.histograms[tag].steps.size, len(tag), tag)):
        if all(_differ(run.histograms[tag], run.histograms[other]) for other in kept):
            kept.append(tag)
    return sorted(kept, key=lambda tag: (len(tag), tag))


def _differ(one: HistogramSeries, other: HistogramSeries) -> bool:
    one, other = trajectory.as_shown(one), trajectory.as_shown(other)
    _, left, right = np.intersect1d(one.steps, other.steps, return_indices=True)
    return bool((one.identity[left] != other.identity[right]).any())


_FLAX_WEIGHTS = {"scale", "bias"}
"""Weights of batch norm in Flax; Keras has gamma and beta, PyTorch weight and bias."""


def _framework(tags: list[ParsedTag], wiring: LayerWiring | None) -> Framework:
    if wiring is not None:
        return _graph_framework(wiring)
    reasons = {parsed.reason.rsplit(": ", 1)[0] for parsed in tags}
    named = {parsed.reason.rsplit(": ", 1)[-1] for parsed in tags}
    if any("PyTorch" in reason for reason in reasons):
        return Framework.TORCH
    if reasons & {"Flax", "Haiku"} or named >= _FLAX_WEIGHTS:
        return Framework.JAX
    if any(parsed.tag.endswith("/histogram") for parsed in tags):
        return Framework.KERAS
    return Framework.UNKNOWN


_FRAMEWORKS = {
    "TensorFlow V1": Framework.TF1,
    "TensorFlow V2": Framework.TF1,
    "TensorFlow V2 (objects)": Framework.KERAS,
    "PyTorch": Framework.TORCH,
    "Keras": Framework.KERAS,
    "Keras (h5)": Framework.KERAS,
}
"""Who writes a format; an object graph of TensorFlow 2 is most often that of a Keras model."""


def _with_source(layer: BatchNormLayer, run: Run) -> BatchNormLayer:
    """Returns a layer with what its checkpoints tell, if it comes from any."""
    tags = {tag for tag in (layer.mean_tag, layer.variance_tag) if tag}
    saved = tags & run.checkpoint_tags
    if not saved:
        return layer
    own = [one for one in run.checkpoints if one.holds(layer.name)]
    framework = layer.framework
    if own and framework is Framework.UNKNOWN:
        framework = _FRAMEWORKS.get(own[-1].format, Framework.UNKNOWN)
    return dataclasses.replace(
        layer,
        sources=("checkpoint",) if saved == tags else ("histogram", "checkpoint"),
        counted=float(own[-1].step) if own and own[-1].counted else None,
        framework=framework,
    )


def _graph_framework(wiring: LayerWiring) -> Framework:
    if wiring.torch:
        return Framework.TORCH
    return Framework.KERAS if wiring.keras else Framework.TF1


def _with_momentum(layer: BatchNormLayer) -> BatchNormLayer:
    logged = layer.counters.get(Role.MOMENTUM)
    if logged is not None and (logged.values == logged.values[:1]).all() and logged.values.size:
        momentum = float(np.round(logged.values[-1], 6))  # as it was before it became a float32
        return dataclasses.replace(layer, momentum=momentum, momentum_source="monitor")
    wiring = layer.wiring
    if wiring is None or wiring.momentum is None:
        return layer
    return dataclasses.replace(
        layer, momentum=wiring.momentum, momentum_source=wiring.momentum_source
    )
