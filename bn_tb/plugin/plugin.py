"""The BatchNorm tab: routes that answer from the scanner, and the files of the front end.

`http_api.md` beside this file describes the routes.
"""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from tensorboard import errors
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from bn_tb.diagnosis import RunDiagnosis, diagnose
from bn_tb.errors import BnTbError
from bn_tb.plugin.logs import LocalFiles, Source, folders
from bn_tb.plugin.peek import Peek
from bn_tb.plugin.sampled import DataLayer
from bn_tb.plugin.scanner import Scanner
from bn_tb.reports import json_report, render
from bn_tb.reports.page import front_end, manual, payload
from bn_tb.reports.report import Report
from bn_tb.rules import ALL_RULES
from bn_tb.rules.statistics_not_logged import FIXES

Arguments = Mapping[str, str]

HERE = pathlib.Path(__file__).parent / "static"
OWN_FILES = ("index.js", "tensorboard_host.js")
EXPORTS = {"html": "text/html", "json": "application/json"}
EXPORT_LOOKS = 90  # waits of the scanner, about a minute


class BatchNormPlugin(base_plugin.TBPlugin):
    """The tab. Constructing it reads nothing."""

    plugin_name = "bn_tb"

    def __init__(self, context: base_plugin.TBContext) -> None:
        """Takes the log directories and the data provider that TensorBoard was started with."""
        spec = getattr(context.flags, "logdir_spec", "") or ""
        self._logdir = spec or context.logdir or ""
        self._folders = folders(context.logdir or "", spec)
        self._data = context.data_provider
        self._scanner = Scanner(self._source())
        self._peek = Peek(context.data_provider)

    def _source(self) -> Source:
        if any(folder.remote for folder in self._folders):
            return DataLayer(self._data, self._logdir)
        return LocalFiles(self._folders)

    def is_active(self) -> bool:
        """Returns whether TensorBoard has seen batch norm in the logs; answers from memory."""
        return self._peek.seen()

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Returns the name of the tab and its module."""
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="BatchNorm")

    def get_plugin_apps(self) -> dict[str, Any]:
        """Returns the routes below `/data/plugin/bn_tb`; files are a fixed list."""
        files = {name: (HERE / name).read_text(encoding="utf-8") for name in OWN_FILES}
        files |= {name: front_end.text(name) for name in (*front_end.MODULES, "page.css")}
        return {
            "/runs": _answer(self._runs),
            "/run": _answer(self._run),
            "/layer": _answer(self._layer),
            "/manual": _answer(self._manual),
            "/export": self._export_app(),
            **{f"/{name}": _file(name, text) for name, text in files.items()},
        }

    def _runs(self, arguments: Arguments) -> Any:
        known = self._scanner.overview(refresh=arguments.get("refresh") == "1")
        notice = self._scanner.source.notice
        return known | {
            "logdir": self._logdir,
            "notices": [notice] if notice else [],
            "snippets": [
                {"framework": framework.value, "text": text}
                for framework, text in FIXES.items()
                if framework.value != "unknown"
            ],
        }

    def _run(self, arguments: Arguments) -> Any:
        diagnosis = self._diagnosis(arguments)
        if diagnosis is None:
            return self._pending(arguments)
        entry = json_report.document(Report((diagnosis,)))["runs"][0]
        return payload.run(entry, diagnosis)

    def _layer(self, arguments: Arguments) -> Any:
        layer = _required(arguments, "layer")
        diagnosis = self._diagnosis(arguments)
        if diagnosis is None:
            return self._pending(arguments)
        try:
            return payload.layer(diagnosis, layer)
        except KeyError:
            raise errors.NotFoundError(f"run {arguments['run']!r} has no layer {layer!r}") from None

    def _manual(self, arguments: Arguments) -> Any:
        code = _required(arguments, "code")
        for rule in ALL_RULES:
            if rule.code == code:
                return manual.page(rule.manual)
        raise errors.NotFoundError(f"there is no rule {code!r}")

    def _diagnosis(self, arguments: Arguments) -> RunDiagnosis | None:
        run = _required(arguments, "run")
        try:
            return self._scanner.diagnosis(run)
        except KeyError:
            raise errors.NotFoundError(f"there is no run {run!r} in {self._logdir}") from None

    def _pending(self, arguments: Arguments) -> dict[str, str]:
        size = self._scanner.size(arguments["run"]) / 1e6
        return {"pending": f"Reading {arguments['run']} ({size:.1f} MB)…"}

    def _export_app(self) -> Any:
        @wrappers.Request.application
        def app(request: wrappers.Request) -> wrappers.Response:
            name = _required(request.args, "format")
            if name not in EXPORTS:
                raise errors.InvalidArgumentError(f"format {name!r}: want html or json")
            disposition = ("Content-Disposition", f'attachment; filename="batch_norm.{name}"')
            return http_util.Respond(
                request, self._export(name, request.args), EXPORTS[name], headers=[disposition]
            )

        return app

    def _export(self, name: str, arguments: Arguments) -> str:
        """The report of one run, or of all of them read anew, as `bn_tb.analyze` writes it."""
        if "run" not in arguments:
            source = self._source()
            read = (source.read(found) for found in source.find().values())
            return render([one for runs in read for one in diagnose(runs)], name)
        for _ in range(EXPORT_LOOKS):
            diagnosis = self._diagnosis(arguments)
            if diagnosis is not None:
                return render([diagnosis], name)
        raise BnTbError("the run is still being read; try again")


def _required(arguments: Arguments, name: str) -> str:
    if name not in arguments:
        raise errors.InvalidArgumentError(f"parameter {name} is missing")
    return arguments[name]


def _answer(answer: Callable[[Arguments], Any]) -> Any:
    """Returns an app that answers with JSON; errors that a person can act on have status 500."""

    @wrappers.Request.application
    def app(request: wrappers.Request) -> wrappers.Response:
        try:
            content = answer(request.args)
        except BnTbError as error:
            return http_util.Respond(request, str(error), "text/plain", code=500)
        return http_util.Respond(request, json.dumps(content, allow_nan=False), "application/json")

    return app


def _file(name: str, text: str) -> Any:
    kind = "text/css" if name.endswith(".css") else "text/javascript"

    @wrappers.Request.application
    def app(request: wrappers.Request) -> wrappers.Response:
        return http_util.Respond(request, text, kind)

    return app
