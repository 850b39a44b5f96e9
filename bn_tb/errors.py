"""Errors that a person can act on; every other exception is our bug."""


class BnTbError(Exception):
    """One line for the user: which file, where, what was found, what was expected, what to do."""


class UsageError(BnTbError):
    """A flag, a configuration key or a path that cannot be used."""
