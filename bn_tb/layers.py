"""Series and graph evidence put together into batch-norm layers."""

import dataclasses
from collections.abc import Mapping

from bn_tb.graph.evidence import GraphEvidence, LayerWiring
from bn_tb.run import Run
from bn_tb.series import HistogramSeries


@dataclasses.dataclass(frozen=True)
class BatchNormLayer:
    """One batch-norm layer of one run.

    Attributes:
      name: The layer, such as `NoCD/conv0/batch_normalization`.
      mean_tag: Tag of the moving mean, or an empty string if it is not logged.
      variance_tag: Tag of the moving variance, or an empty string if it is not logged.
      mean: Series of the moving mean over channels, or None.
      variance: Series of the moving variance over channels, or None.
      weights: Other logged variables of this layer (gamma, beta, ...) by tag.
      wiring: What the graph says of this layer, or None.
      momentum: Weight of the old value per update, or None if unknown.
      momentum_source: `graph`, `keras_config`, `flag`, `measured`, or None.
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


def find_layers(run: Run, graph: GraphEvidence | None = None) -> tuple[BatchNormLayer, ...]:
    """Returns the batch-norm layers of a run in the order in which they were first logged."""
    raise NotImplementedError
