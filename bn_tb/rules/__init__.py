"""One fault, one file, one manual page; `ALL_RULES` is the registry."""
