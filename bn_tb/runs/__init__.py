"""The values that everything speaks of: runs, series, names of tags."""
