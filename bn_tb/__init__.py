"""Finds batch-norm faults in TensorBoard logs. See README.md."""

__version__ = "0.1.0"
