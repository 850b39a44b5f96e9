"""The version, for reports that say what wrote them."""

__version__ = "0.2.0"
