"""A logdir that is still being written: what changed since the last look."""

from bn_tb.errors import UsageError
from bn_tb.events.run_reader import RunReader
from bn_tb.files.found import FoundFile
from bn_tb.runs import tags
from bn_tb.runs.run import FileReport, Run
from bn_tb.sources.logdir import (
    Paths,
    as_list,
    completed,
    find_runs,
    may_exist,
    point_limits,
    read_or_refuse,
)

_State = tuple[tuple[FileReport, ...], tuple[FoundFile, ...]]
"""What became of event files, and which checkpoints there are."""


class Follower:
    """Reads logdirs again and again, each byte once.

    New files and runs appear, a partial last record waits for its rest, a file that was replaced
    or became shorter is read afresh together with its run.
    """

    def __init__(
        self,
        paths: Paths,
        patterns: tags.TagPatterns = tags.TagPatterns(),
        checkpoints: bool = True,
    ) -> None:
        """Starts with nothing read.

        Args:
          paths: As `read_logdir` takes them; a path that does not exist yet is waited for.
          patterns: Names of statistics taught by the user.
          checkpoints: Whether to read checkpoints too.
        """
        self._checkpoints = checkpoints
        self._paths, self._patterns = as_list(paths), patterns
        self._readers: dict[tuple[str, str], RunReader] = {}
        self._reports: dict[tuple[str, str], _State] = {}
        self._runs: dict[tuple[str, str], Run] = {}

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs as of the last poll, in the order of `read_logdir`."""
        return tuple(self._runs.values())

    def poll(self) -> tuple[Run, ...]:
        """Reads what was appended and returns the runs that changed since the last poll.

        A run that vanished is no change; it leaves `runs`. While a remote place cannot be listed,
        nothing changes.

        Raises:
          UsageError: A remote place cannot be listed at the first look.
        """
        try:
            found = find_runs([path for path in self._paths if may_exist(path)], self._checkpoints)
        except UsageError:
            if not self._runs:
                raise
            return ()
        before, changed = self._runs, []
        self._runs = {}
        for each, limit in zip(found, point_limits(found), strict=True):
            key = (each.logdir, each.name)
            reader = self._readers.get(key)
            if reader is None:
                reader = RunReader(each.name, each.logdir, self._patterns)
            self._readers[key] = reader
            reader.limit(limit)
            reports = read_or_refuse(reader, each), each.checkpoints
            if key in before and reports == self._reports[key]:
                self._runs[key] = before[key]
            else:
                run = completed(reader.run(), each, self._patterns)
                self._runs[key], self._reports[key] = run, reports
                changed.append(self._runs[key])
        self._readers = {key: self._readers[key] for key in self._runs if key in self._readers}
        return tuple(changed)
