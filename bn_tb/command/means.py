"""By what means a call gets its runs judged: flags about places, workers and the cache."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bn_tb import plain_values as plain
from bn_tb.diagnosis import Options
from bn_tb.errors import UsageError
from bn_tb.files import place, remote
from bn_tb.sources.logdir import FoundRun, Progress

if TYPE_CHECKING:
    from bn_tb.fleet.fleet import Outcome

Tell = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True)
class Means:
    """Who judges, and what need not be judged again.

    Attributes:
      scheduler: As `--scheduler` has it; empty for this process.
      cache: Folder of the cache; empty for none.
      access: Options of remote places, for workers; this process has them.
    """

    scheduler: str = ""
    cache: str = ""
    access: remote.Access = dataclasses.field(default_factory=dict)

    @property
    def as_rows(self) -> bool:
        """Whether runs come back without their series."""
        return bool(self.scheduler or self.cache)


def choose(flags: Any, logdirs: Sequence[str]) -> Means:
    """Returns the means that flags ask for; from here on this process may open remote places.

    Raises:
      UsageError: A value cannot be used.
    """
    urls = [logdir for logdir in logdirs if place.is_url(logdir)]
    options = _storage_options(flags.storage_options) if flags.storage_options else {}
    access = dict.fromkeys(urls, options) if options else {}
    remote.use(access)
    return Means(flags.scheduler or "", flags.cache or "", access)


def judge_rows(
    means: Means, found: Sequence[FoundRun], options: Options, tell: Tell | None
) -> "Outcome":
    """Judges runs by a cluster, with a cache, or both.

    Raises:
      UsageError: They cannot be used.
    """
    from bn_tb.fleet import fleet
    from bn_tb.fleet.cache import Cache

    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(Cache(means.cache, options)) if means.cache else None
        if not means.scheduler:
            return fleet.judge_all(found, options, fleet.here, cache, tell)
        from bn_tb.fleet.cluster import Cluster  # Dask is an extra

        cluster = stack.enter_context(Cluster(means.scheduler, means.access))

        def with_workers(done: Progress) -> None:
            if tell:
                tell(dataclasses.replace(done, workers=cluster.workers))

        return fleet.judge_all(found, options, cluster.judge, cache, with_workers)


def _storage_options(text: str) -> Mapping[str, Any]:
    """Returns options from JSON or from a file of JSON; what is wrong with them is not shown."""
    try:
        if not text.lstrip().startswith("{"):
            text = plain.read(text)
        options = plain.json_of(text)
    except OSError as error:
        raise UsageError(f"--storage_options: cannot read the file: {error.strerror}") from None
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise UsageError("--storage_options: want a JSON object, or a file that holds one")
    return options
