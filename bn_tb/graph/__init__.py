"""Serialized graphs to wiring evidence, without tensorflow."""

from bn_tb.graph.run_graphs import read as read
