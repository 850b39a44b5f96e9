"""The experiment; the only package that imports tensorflow."""
