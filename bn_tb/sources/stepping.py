"""Where in the training each checkpoint of a series was written."""

import dataclasses
import posixpath
import re
from collections.abc import Callable, Sequence

from bn_tb.checkpoints.snapshot import Snapshot
from bn_tb.sources.found_checkpoints import is_numbered_folder

_GLOBAL = ("global_step", "iterations", "_iterations", "iter")  # what frameworks themselves count
_VAGUE = ("step", "steps", "iteration", "iters", "n_iter", "num_updates", "current_iter", "it")
_NAMED_STEP = re.compile(
    r"(?:step|iter|itr|iteration|global_step)[=_-]?(\d{1,15})(?!\d|\.\d)", re.I
)
_NUMBER = re.compile(r"(?<![0-9a-zA-Z.])(?:[a-zA-Z]+)?(\d{1,15})(?![0-9a-zA-Z]|\.\d)")
_LARGEST = 1 << 53


@dataclasses.dataclass(frozen=True)
class Steps:
    """Steps of the checkpoints of a series, in their order.

    Attributes:
      steps: One a checkpoint.
      counted: Whether they count updates of the weights, rather than epochs or files.
    """

    steps: tuple[int, ...]
    counted: bool


Counter = Callable[[str, Snapshot], float | None]


def steps_of(paths: Sequence[str], snapshots: Sequence[Snapshot]) -> Steps:
    """Returns the steps of checkpoints by the best count that all of them have.

    Best is what the framework counted (global step, iterations of the optimizer), then what layers
    counted (num_batches_tracked), the steps of an optimizer, numbers whose names say that they
    count, and the number in the name of the file; else they are numbered in their order.
    """
    for counter, counted in _COUNTERS:
        found = [counter(path, one) for path, one in zip(paths, snapshots, strict=True)]
        numbers = [number for number in found if number is not None and 0 <= number < _LARGEST]
        if len(numbers) == len(found) and any(numbers) and _tells_apart(numbers, snapshots):
            return Steps(tuple(map(int, numbers)), counted)
    return Steps(tuple(range(len(paths))), False)


def optimizer_steps_of(snapshot: Snapshot) -> int | None:
    """Returns the steps of the optimizer: as its state says, else as the framework counted."""
    if snapshot.optimizer_steps is not None:
        return snapshot.optimizer_steps
    counted = _named(_GLOBAL)("", snapshot)
    return int(counted) if counted is not None and 0 <= counted < _LARGEST else None


def _tells_apart(numbers: Sequence[float], snapshots: Sequence[Snapshot]) -> bool:
    """Returns whether checkpoints of one number are copies: else it is no clock of the training.

    Updates of statistics are none where these stand still and the weights go on.
    """
    contents = dict[float, set[bytes]]()
    for number, one in zip(numbers, snapshots, strict=True):
        contents.setdefault(number, set()).add(one.moments.identity.tobytes())
    several = len(contents) > 1 or len(numbers) < 2
    return several and all(len(found) == 1 for found in contents.values())


def equally_counted(snapshots: Sequence[Snapshot]) -> bool:
    """Returns whether something counts the updates of each checkpoint, and all counts are equal."""
    found = [{counter("", one) for one in snapshots} for counter, counted in _COUNTERS if counted]
    known = [counts for counts in found if not counts & {None, 0.0}]
    return bool(known) and all(len(counts) == 1 for counts in known)


def _named(names: Sequence[str]) -> Counter:
    def counter(_: str, snapshot: Snapshot) -> float | None:
        found = {name.lower().split("/")[-1]: value for name, value in snapshot.numbers.items()}
        return next((found[name] for name in names if name in found), None)

    return counter


def _tracked(_: str, snapshot: Snapshot) -> float | None:
    return max(snapshot.counts.values(), default=None)


def _optimized(_: str, snapshot: Snapshot) -> float | None:
    steps = snapshot.optimizer_steps
    return None if steps is None or steps == 1 else float(steps)  # 1: it has a state, uncounted


def number_in_name(path: str) -> int | None:
    """Returns the step or epoch that a file is named after, or None."""
    folder, name = posixpath.split(path.replace("\\", "/"))
    for part in (name, posixpath.basename(folder)):
        found = _NAMED_STEP.findall(part) or _NUMBER.findall(part)
        if found and (part is name or is_numbered_folder(part)):
            return int(found[-1])
    return None


_COUNTERS: tuple[tuple[Counter, bool], ...] = (
    (_named(_GLOBAL), True),
    (_tracked, True),
    (_optimized, True),
    (_named(_VAGUE), False),
    (_named(("epoch", "epochs", "current_epoch")), False),
    (lambda path, _: number_in_name(path), False),
)
