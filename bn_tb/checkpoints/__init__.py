"""Checkpoints to the statistics of layers: one file a format, no framework, nothing executed."""
