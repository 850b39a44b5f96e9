"""Why a LOGDIR yields no runs, in one line that says what to do."""

import difflib
import os
from collections.abc import Iterator

from bn_tb.files import place

_CHECKPOINTS = (".index", ".meta", ".ckpt", ".pt", ".pth", ".keras", ".h5", ".safetensors", ".pb")
_LOOK_AT = 1000
"""Files looked at before giving a general answer; a person waits for it."""


def why(logdir: str) -> str:
    """Returns the line for a LOGDIR that is missing or holds no event files."""
    if place.is_url(logdir):
        return f"{logdir}: nothing there, or no event files (events.out.tfevents.*) below it"
    if not os.path.exists(logdir):
        return f"{logdir}: no such file or folder{_nearest(logdir)}"
    for number, name in enumerate(_files(logdir)):
        if name == "checkpoint" or name.endswith(_CHECKPOINTS):
            return (
                f"{logdir}: holds checkpoints ({name}) but no event files; bn_tb reads what a "
                "summary writer or TensorBoard callback wrote (events.out.tfevents.*): give that "
                "folder"
            )
        if number >= _LOOK_AT:
            break
    return (
        f"{logdir}: no event files (events.out.tfevents.*) in this folder or below; give the "
        "folder that you give to tensorboard --logdir"
    )


def _files(folder: str) -> Iterator[str]:
    for _, _, names in os.walk(folder):
        yield from sorted(names)


def _nearest(path: str) -> str:
    parent, name = os.path.split(path.rstrip("/" + os.sep))
    try:
        close = difflib.get_close_matches(name, os.listdir(parent or "."), n=1)
    except OSError:
        return ""
    return f"; did you mean {os.path.join(parent, close[0])}?" if close else ""
