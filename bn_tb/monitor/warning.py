"""What monitors say while a training runs."""


class BatchNormWarning(UserWarning):
    """A finding of a monitor: code, cause and fix."""


class BatchNormError(RuntimeError):
    """Ends a training where a monitor was told to stop it on an error (`stop=True`)."""
