"""Event files to runs, without tensorflow."""
