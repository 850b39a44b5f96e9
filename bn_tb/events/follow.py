"""A logdir that is still being written: what changed since the last look."""

import os
from collections.abc import Iterable

from bn_tb import tags
from bn_tb.events.logdir import read_logdir
from bn_tb.run import Run


class Follower:
    """Reads logdirs again and again, each byte once.

    New files and runs appear, a partial last record waits for its rest, a file that was replaced
    or became shorter is read afresh together with its run.
    """

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        patterns: tags.TagPatterns = tags.TagPatterns(),
    ) -> None:
        """Takes what `read_logdir` takes; a path that does not exist yet is waited for."""
        self._paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        self._patterns = patterns
        self._runs: dict[tuple[str, str], Run] = {}

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs as of the last poll, in the order of `read_logdir`."""
        return tuple(self._runs.values())

    def poll(self) -> tuple[Run, ...]:
        """Reads what was appended and returns the runs that changed since the last poll.

        A run that vanished is no change; it leaves `runs`.
        """
        paths = [path for path in self._paths if os.path.exists(path)]
        before = self._runs
        self._runs = {(run.logdir, run.name): run for run in read_logdir(paths, self._patterns)}
        return tuple(
            run
            for key, run in self._runs.items()
            if key not in before or before[key].files != run.files
        )
