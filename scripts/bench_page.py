"""Measures how long the page holds the browser up, and what the chart libraries would cost.

    python scripts/bench_page.py [--runs=1000] [--layers=200] [--library=FILE.js ...]

The page is an HTML report of many runs, each with layers, findings and hyperparameters, of which
one has many layers; the tab in TensorBoard runs the same code. A figure is the longest task of the
main thread in an action, as it was waited for (Long Tasks API; shorter ones than 50 ms are not
reported) and in processor time, which other programs on the machine do not change much.
"""

import contextlib
import json
import pathlib
import sys
import tempfile
from collections.abc import Iterator

from absl import app, flags
from playwright import sync_api

from bn_tb.reports import html
from bn_tb.reports.report import Report, View

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
# isort: split
from tests.builders import page_cases

RUNS = flags.DEFINE_integer("runs", 1000, "Runs of the report.", lower_bound=1)
LAYERS = flags.DEFINE_integer("layers", 200, "Layers of its first run.", lower_bound=1)
LIBRARY = flags.DEFINE_multi_string("library", [], "JavaScript files to evaluate as well.")
CHROMIUM = flags.DEFINE_string("chromium", "/usr/bin/chromium", "The browser.")

WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.tasks.push(entry.duration);
}).observe({ entryTypes: ['longtask'] });
"""
TASKS = ["disabled-by-default-devtools.timeline"]
QUIET = 700  # milliseconds after an action in which its last tasks end


def processor_milliseconds(trace: bytes) -> float:
    """Returns the processor time of the longest task of a page's main thread in a trace."""
    events = json.loads(trace)["traceEvents"]
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = (e for e in events if e["name"] == "RunTask" and (e["pid"], e["tid"]) in main)
    return max((task.get("tdur", 0) for task in tasks), default=0) / 1000


@contextlib.contextmanager
def action(page: sync_api.Page, name: str) -> Iterator[None]:
    """Prints the longest task of what is done inside."""
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=TASKS)
    yield
    page.wait_for_timeout(QUIET)
    waited = page.evaluate("Math.max(0, ...window.tasks.splice(0))")
    spent = processor_milliseconds(browser.stop_tracing())
    print(f"{name:<26} {f'{waited:.0f} ms' if waited else 'below 50 ms':>12} {spent:>9.0f} ms")


def all_runs(page: sync_api.Page, address: str) -> None:
    """Does with the table of runs what a person does."""
    runs = page.get_by_label("Filter runs")
    with action(page, "open the report"):
        page.goto(address)
        page.locator(".item").last.wait_for()
    with action(page, "sort the runs"):
        page.get_by_role("button", name="Last step").click()
    with action(page, "group the runs"):
        page.get_by_label("Group runs").select_option("finding")
    with action(page, "show 100 more"):
        page.get_by_role("button", name="Show 100 more").click()
    with action(page, "filter the runs"):
        runs.fill("lr=.*1_.*seed")
    with action(page, "filter by what is slow"):
        runs.fill(".*e.*e.*q")
    with action(page, "show few runs"):
        runs.fill("wide")


def one_run(page: sync_api.Page) -> None:
    """Opens the run that is left, and one of its layers."""
    layers = page.get_by_label("Filter layers")
    with action(page, "open the run"):
        page.locator(".item a").first.click()
        layers.wait_for()
    with action(page, "sort the layers"):
        page.get_by_role("button", name="Layer", exact=True).click()
    with action(page, "filter the layers"):
        layers.fill("conv1")
    with action(page, "open a layer"):
        page.locator(".item a").last.click()
        page.locator(".plot").first.wait_for()
    with action(page, "zoom its charts"):
        page.locator(".plot").first.press("+")
    with action(page, "read a chart"):
        page.locator(".plot").first.hover()


def evaluate(page: sync_api.Page, library: str) -> None:
    """Measures how long a library takes to evaluate."""
    page.goto("about:blank")
    with action(page, f"{pathlib.Path(library).name}"):
        page.add_script_tag(path=library)


def main(argv: list[str]) -> None:
    """Builds the report, opens it, prints the figures."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]}")
    wide = page_cases.diagnosis("stale", "wide", layers=LAYERS.value)
    runs = (wide, *page_cases.sweep(RUNS.value - 1))
    with tempfile.TemporaryDirectory() as folder, sync_api.sync_playwright() as started:
        file = pathlib.Path(folder, "report.html")
        file.write_text(html.render(Report(runs), View()), encoding="utf-8")
        print(f"{RUNS.value} runs, {LAYERS.value} layers: {file.stat().st_size / 1e6:.1f} MB")
        browser = started.chromium.launch(
            executable_path=CHROMIUM.value, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.add_init_script(WATCH)
        print(f"{'longest task':<26} {'waited':>12} {'processor':>12}")
        all_runs(page, file.as_uri())
        one_run(page)
        for library in LIBRARY.value:
            evaluate(page, library)
        browser.close()


if __name__ == "__main__":
    app.run(main)
