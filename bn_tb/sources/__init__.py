"""Which runs a place holds, read and followed."""
