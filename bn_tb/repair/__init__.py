"""A model in memory: are its statistics those of some batches, and if not, make them so."""
