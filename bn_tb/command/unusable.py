"""Why a LOGDIR yields no runs, in one line that says what to do."""

import os

from bn_tb.files import place


def why(logdir: str) -> str:
    """Returns the line for a LOGDIR that is missing or holds nothing to read."""
    if place.is_url(logdir):
        return f"{logdir}: nothing there, or no event files (events.out.tfevents.*) below it"
    if obstacle := place.obstacle(logdir):
        return f"{logdir}: {obstacle}"
    if not os.path.exists(logdir):
        return f"{logdir}: no such file or folder{_nearest(logdir)}"
    return (
        f"{logdir}: no event files (events.out.tfevents.*) and no checkpoints in this folder or "
        "below; give the folder that you give to tensorboard --logdir"
    )


def _nearest(path: str) -> str:
    import difflib  # a slip may cost some milliseconds

    parent, name = os.path.split(path.rstrip("/" + os.sep))
    try:
        close = difflib.get_close_matches(name, os.listdir(parent or "."), n=1)
    except OSError:
        return ""
    return f"; did you mean {os.path.join(parent, close[0])}?" if close else ""
