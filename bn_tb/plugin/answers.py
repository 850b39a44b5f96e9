"""What the routes of the tab answer, as values; imported when TensorBoard has started."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tensorboard import errors
from tensorboard.plugins import base_plugin

from bn_tb import settings
from bn_tb.diagnosis import RunDiagnosis, diagnose
from bn_tb.errors import BnTbError
from bn_tb.files import remote
from bn_tb.plugin.logs import LogFiles, Source, folders
from bn_tb.plugin.peek import Peek
from bn_tb.plugin.sampled import DataLayer
from bn_tb.plugin.scanner import Scanner
from bn_tb.reports import json_report, render
from bn_tb.reports.page import manual, payload
from bn_tb.reports.report import Report
from bn_tb.rules import ALL_RULES
from bn_tb.rules.how_to_log import FIXES
from bn_tb.settings import Settings

Arguments = Mapping[str, str]

EXPORTS = ("html", "json")
EXPORT_LOOKS = 90  # waits of the scanner, about a minute


class Answers:
    """Answers from the logs that TensorBoard was started with; any thread may ask.

    Arguments are those of the query. A wrong one raises one of TensorBoard's errors, which it
    answers with 400 or 404; what a person can act on is a BnTbError.
    """

    def __init__(self, context: base_plugin.TBContext) -> None:
        """Reads the configuration, and no logs."""
        spec = getattr(context.flags, "logdir_spec", "") or ""
        self._logdir = spec or context.logdir or ""
        self._folders = folders(context.logdir or "", spec)
        self._data = context.data_provider
        self._settings, self._notices = _configured()
        self._gate = self._settings.gate()
        self._scanner = Scanner(self._source(), self._settings.options())
        self.peek = Peek(context.data_provider)
        self.routes: dict[str, Callable[[Arguments], Any]] = {
            "runs": self._runs,
            "run": self._run,
            "layer": self._layer,
            "manual": self._manual,
        }

    def _source(self) -> Source:
        """Returns our own reader, or TensorBoard's data layer where that cannot go."""
        for folder in self._folders:
            if folder.remote and (obstacle := remote.obstacle(folder.path)):
                return DataLayer(self._data, self._logdir, self._settings.patterns(), obstacle)
        return LogFiles(self._folders, self._settings.patterns())

    def _report(self, runs: Iterable[RunDiagnosis]) -> Report:
        return dataclasses.replace(self._gate, runs=tuple(runs))

    def _runs(self, arguments: Arguments) -> Any:
        known = self._scanner.overview(refresh=arguments.get("refresh") == "1")
        return known | {
            "logdir": json_report.valid(self._logdir),
            "notices": list(filter(None, [*self._notices, *self._troubles()])),
            "snippets": [
                {"framework": framework.value, "text": text}
                for framework, text in FIXES.items()
                if framework.value != "unknown"
            ],
        }

    def _troubles(self) -> Iterator[str]:
        yield from map(json_report.valid, (self._scanner.source.notice, self._scanner.trouble))

    def _run(self, arguments: Arguments) -> Any:
        diagnosis = self._diagnosis(arguments)
        if diagnosis is None:
            return self._pending(arguments)
        entry = json_report.document(self._report([diagnosis]))["runs"][0]
        return payload.run(entry, diagnosis)

    def _layer(self, arguments: Arguments) -> Any:
        layer = required(arguments, "layer")
        diagnosis = self._diagnosis(arguments)
        if diagnosis is None:
            return self._pending(arguments)
        try:
            return payload.layer(diagnosis, layer)
        except KeyError:
            raise errors.NotFoundError(f"run {arguments['run']!r} has no layer {layer!r}") from None

    def _manual(self, arguments: Arguments) -> Any:
        code = required(arguments, "code")
        for rule in ALL_RULES:
            if rule.code == code:
                return manual.page(rule.manual)
        raise errors.NotFoundError(f"there is no rule {code!r}")

    def _diagnosis(self, arguments: Arguments) -> RunDiagnosis | None:
        run = required(arguments, "run")
        try:
            return self._scanner.diagnosis(run)
        except KeyError:
            raise errors.NotFoundError(f"there is no run {run!r} in {self._logdir}") from None

    def _pending(self, arguments: Arguments) -> dict[str, str]:
        size = self._scanner.size(arguments["run"]) / 1e6
        return {"pending": f"Reading {arguments['run']} ({size:.1f} MB)…"}

    def export(self, arguments: Arguments) -> str:
        """Returns the report of one run, or of all of them read anew, as analyze writes it."""
        name = required(arguments, "format")
        if name not in EXPORTS:
            raise errors.InvalidArgumentError(f"format {name!r}: want {' or '.join(EXPORTS)}")
        if "run" not in arguments:
            source, options = self._source(), self._settings.options()
            read = (source.read(found) for found in source.find().values())
            judged = (one for runs in read for one in diagnose(runs, options))
            report = self._report(judged)
            problems = (source.notice,) if source.notice else ()
            return render(dataclasses.replace(report, problems=problems), name)
        for _ in range(EXPORT_LOOKS):
            diagnosis = self._diagnosis(arguments)
            if diagnosis is not None:
                return render(self._report([diagnosis]), name)
        raise BnTbError("the run is still being read; try again")


def required(arguments: Arguments, name: str) -> str:
    """Returns an argument that the query must have."""
    if name not in arguments:
        raise errors.InvalidArgumentError(f"parameter {name} is missing")
    return arguments[name]


def _configured() -> tuple[Settings, list[str]]:
    """The settings that analyze would use here; a faulty file is named on the page."""
    try:
        file = settings.find_file(settings.here())
        configured = settings.load(file) if file else Settings()
        configured.gate()
    except BnTbError as error:
        return Settings(), [f"The configuration of bn_tb is not used: {error}"]
    return configured, []
