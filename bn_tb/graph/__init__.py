"""Serialized graphs to wiring evidence, without tensorflow."""
