"""Serialized graphs to wiring evidence, without tensorflow."""

from collections.abc import Sequence

from bn_tb.graph.graph_evidence import GraphEvidence
from bn_tb.runs.run import GraphSource


def read(sources: Sequence[GraphSource]) -> GraphEvidence:
    """Returns what the graphs of one run prove; see `run_graphs.read`."""
    from bn_tb.graph import run_graphs  # a twentieth of the time of a small log without graphs

    return run_graphs.read(sources)
