"""Which runs belong together: the train/, eval/, ema/ and rank folders of one experiment."""

import itertools
import re
from collections.abc import Iterable, Iterator

from bn_tb.runs.run import Run

_PHASE = r"(?:train|training|val|valid|validation|test|testing|eval|evaluation)"
_REPLICA = r"(?:rank|replica|worker|gpu|tower|node|process|device)"
_COPY = r"(?:(?:model|net|weights)[_-]?)?(?:ema|swa|averaged)(?:[_-]?(?:model|net|weights))?"
_PART = re.compile(
    rf"{_PHASE}(?:[_-]?(?:set|logs?|data))?|eval_[\w.-]+|{_REPLICA}[_-]?\d+|{_COPY}", re.I
)
_PART_SUFFIX = re.compile(rf"(.*[_-])({_PHASE})", re.I)


def experiment_of(run: str) -> tuple[str, str]:
    """Returns the experiment that a run belongs to, and which part of it the run is.

    Path components that name a phase, a replica or an average of the weights are the part, the
    others the experiment. Two runs are joined only if they differ in such components alone:
    `NoCD/train` and `NoCD/validation`, `train/NoCD` and `test/NoCD`, `.` and `eval` (tf.estimator),
    `rank0` and `rank1`, `train` and `ema`, `mnist_train` and `mnist_test` (experiment `mnist_*`;
    never joined with `mnist`).

    Args:
      run: Name of a run, components separated by `/`; `.` for the logdir itself.

    Returns:
      The experiment, `.` if no component is left, and the part, empty if there is none.
    """
    components = [part for part in run.split("/") if part not in ("", ".")]
    parts = [part for part in components if _PART.fullmatch(part)]
    rest = [part for part in components if not _PART.fullmatch(part)]
    if not parts and rest and (suffixed := _PART_SUFFIX.fullmatch(rest[-1])):
        parts = [suffixed[2]]
        rest[-1] = suffixed[1] + "*"
    return "/".join(rest) or ".", "/".join(parts)


def by_experiment(runs: Iterable[Run]) -> Iterator[tuple[Run, ...]]:
    """Groups runs that follow each other and belong to one experiment, as `read_logdir` yields."""
    for _, group in itertools.groupby(runs, lambda run: (run.logdir, experiment_of(run.name)[0])):
        yield tuple(group)
