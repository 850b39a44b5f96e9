"""The parts of the command line `bn_tb.analyze`."""
