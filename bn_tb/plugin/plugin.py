"""The BatchNorm tab as TensorBoard sees it: a name, and routes; `http_api.md` describes them.

All that costs time to import is imported a moment after TensorBoard has started.
"""

import contextlib
import json
import pathlib
import threading
from typing import TYPE_CHECKING, Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from tensorboard.util import tb_logging
from werkzeug import wrappers

from bn_tb.errors import BnTbError
from bn_tb.reports.page import front_end

if TYPE_CHECKING:
    from bn_tb.plugin.answers import Answers

HERE = pathlib.Path(__file__).parent / "static"
OWN_FILES = ("index.js", "tensorboard_host.js")
ROUTES = ("runs", "run", "layer", "manual")
WARM_UP = 0.5  # seconds after which the rest is imported; TensorBoard serves pages by then


class BatchNormPlugin(base_plugin.TBPlugin):
    """The tab. Constructing it imports and reads next to nothing."""

    plugin_name = "bn_tb"

    def __init__(self, context: base_plugin.TBContext) -> None:
        """Takes the log directories and the data provider that TensorBoard was started with."""
        self._context = context
        self._files = {name: (HERE / name).read_text(encoding="utf-8") for name in OWN_FILES}
        self._files |= {name: front_end.text(name) for name in (*front_end.MODULES, "page.css")}
        self._lock = threading.Lock()
        self._answers: Answers | None = None
        self._problem = ""
        timer = threading.Timer(WARM_UP, self._warm_up)
        timer.daemon = True
        timer.start()

    def is_active(self) -> bool:
        """Returns whether TensorBoard has seen batch norm in the logs; answers from memory."""
        return self._answers is not None and self._answers.peek.seen()

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Returns the name of the tab and its module."""
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="BatchNorm")

    def get_plugin_apps(self) -> dict[str, Any]:
        """Returns the routes below `/data/plugin/bn_tb`; files are a fixed list."""
        return {
            **{f"/{name}": self._answering(name) for name in ROUTES},
            "/export": self._exporting(),
            **{f"/{name}": _serving(name, text) for name, text in self._files.items()},
        }

    def _warm_up(self) -> None:
        with contextlib.suppress(BnTbError):  # it is in the log, and every route says so
            self._ready()

    def _ready(self) -> "Answers":
        """Returns what answers, made at the first call.

        Raises:
          BnTbError: It cannot be made; the first time that is a line in TensorBoard's log.
        """
        with self._lock:
            if self._answers is None and not self._problem:
                try:
                    from bn_tb.plugin.answers import Answers

                    self._answers = Answers(self._context)
                except Exception as error:  # whatever is broken here, TensorBoard goes on
                    self._problem = f"The BatchNorm tab is off: {type(error).__name__}: {error}"
                    tb_logging.get_logger().warning("%s", self._problem)
            if self._answers is None:
                raise BnTbError(self._problem)
            return self._answers

    def _answering(self, route: str) -> Any:
        """Returns an app that answers with JSON; what a person can act on has status 500."""

        @wrappers.Request.application
        def app(request: wrappers.Request) -> wrappers.Response:
            try:
                content = self._ready().routes[route](request.args)
            except BnTbError as error:
                return http_util.Respond(request, str(error), "text/plain", code=500)
            text = json.dumps(content, allow_nan=False)
            return http_util.Respond(request, text, "application/json")

        return app

    def _exporting(self) -> Any:
        @wrappers.Request.application
        def app(request: wrappers.Request) -> wrappers.Response:
            try:
                content = self._ready().export(request.args)
            except BnTbError as error:
                return http_util.Respond(request, str(error), "text/plain", code=500)
            name = request.args["format"]
            header = ("Content-Disposition", f'attachment; filename="batch_norm.{name}"')
            kind = "text/html" if name == "html" else "application/json"
            return http_util.Respond(request, content, kind, headers=[header])

        return app


def _serving(name: str, text: str) -> Any:
    kind = "text/css" if name.endswith(".css") else "text/javascript"

    @wrappers.Request.application
    def app(request: wrappers.Request) -> wrappers.Response:
        return http_util.Respond(request, text, kind)

    return app
