"""Serialized graphs to wiring evidence, without tensorflow."""

from bn_tb.graph.sources import read as read
