"""`bn_tb.diagnose`: logs in, diagnoses out."""

import os
from collections.abc import Iterable

from bn_tb import diagnosis
from bn_tb.diagnosis import Options
from bn_tb.errors import UsageError
from bn_tb.reports.diagnoses import Diagnoses
from bn_tb.runs.run import Run
from bn_tb.sources.logdir import read_logdir

_Place = str | os.PathLike[str]


def diagnose(logs: "_Place | Iterable[_Place | Run]", options: Options = Options()) -> Diagnoses:
    """Returns the diagnosis of each run.

    Args:
      logs: A logdir or event file, several of them, or runs as `read_logdir` yields them.
      options: What the user says about the logs.

    Raises:
      UsageError: A path does not exist, or `logs` is none of these.
    """
    if isinstance(logs, str | os.PathLike):
        logs = [logs]
    if not isinstance(logs, Iterable):
        raise UsageError(f"diagnose({type(logs).__name__}): want a logdir, several, or runs")
    return Diagnoses(diagnosis.diagnose(_runs(logs, options), options))


def _runs(logs: "Iterable[_Place | Run]", options: Options) -> Iterable[Run]:
    for one in logs:
        if isinstance(one, Run):
            yield one
        elif isinstance(one, str | os.PathLike):
            yield from read_logdir(one, options.patterns)
        else:
            raise UsageError(f"diagnose: {type(one).__name__} is neither a logdir nor a run")
