"""The files of the front end: served one by one by the tab, put together for the HTML report."""

import functools
import pathlib
import re

HERE = pathlib.Path(__file__).parent / "static"

MODULES = (
    *("dom.js", "words.js", "scale.js", "badge.js", "plot.js", "chart.js", "small_pictures.js"),
    *("wiring_picture.js", "metric_charts.js", "share_chart.js", "findings.js", "data_table.js"),
    *("layer_table.js", "names.js", "run_filter.js", "run_columns.js", "run_groups.js", "home.js"),
    *("run_page.js", "layer_page.js", "app.js"),
)
"""JavaScript modules in an order in which each imports only earlier ones."""

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?:function|const) (\w+)", re.MULTILINE)


@functools.cache
def text(name: str) -> str:
    """Returns a file of the front end."""
    return (HERE / name).read_text(encoding="utf-8")


@functools.cache
def one_module(entry: str) -> str:
    """Returns the modules and an entry as one script.

    Files opened from disk may not import each other in a browser. Each module becomes a function
    whose exports are names of the script, which are what the modules after it import.
    """
    return "\n".join([*(_scoped(text(name)) for name in MODULES), _IMPORT.sub("", text(entry))])


def _scoped(module: str) -> str:
    exports = ", ".join(_EXPORT.findall(module))
    body = _IMPORT.sub("", module).replace("\nexport ", "\n")
    return f"const {{ {exports} }} = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();"
