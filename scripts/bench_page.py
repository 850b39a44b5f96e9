"""Measures how long the page holds the browser up, and what the chart libraries would cost.

    python scripts/bench_page.py [--runs=500] [--layers=200] [--library=FILE.js ...]

The page is an HTML report of many runs of which one has many layers; the tab in TensorBoard runs
the same code. A figure is the longest task of the main thread (Long Tasks API; shorter ones than
50 ms are not reported) in an action. Run it on an idle machine.
"""

import pathlib
import sys
import tempfile

from absl import app, flags
from playwright import sync_api

from bn_tb.reports import html
from bn_tb.reports.report import Report, View

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
# isort: split
from tests.builders import page_cases

RUNS = flags.DEFINE_integer("runs", 500, "Runs of the report.", lower_bound=1)
LAYERS = flags.DEFINE_integer("layers", 200, "Layers of its first run.", lower_bound=1)
LIBRARY = flags.DEFINE_multi_string("library", [], "JavaScript files to evaluate as well.")
CHROMIUM = flags.DEFINE_string("chromium", "/usr/bin/chromium", "The browser.")

WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.tasks.push(entry.duration);
}).observe({ entryTypes: ['longtask'] });
"""


def longest_task(page: sync_api.Page) -> str:
    """Returns the longest task since the last call, and forgets it."""
    page.wait_for_timeout(500)
    longest = page.evaluate("Math.max(0, ...window.tasks.splice(0))")
    return f"{longest:.0f} ms" if longest else "below 50 ms"


def actions(page: sync_api.Page, address: str) -> None:
    """Goes through the page as a person does, and prints the longest task of each action."""
    page.goto(address)
    page.locator(".list-status").wait_for()
    print(f"open the report: {longest_task(page)}")
    page.get_by_label("Filter runs by name").fill("wid")
    print(f"filter the runs: {longest_task(page)}")
    page.locator(".runs a").first.click()
    page.locator("table.layers tbody tr").last.wait_for()
    print(f"open the run: {longest_task(page)}")
    page.get_by_role("button", name="Layer", exact=True).click()
    print(f"sort the layers: {longest_task(page)}")
    page.get_by_label("Filter layers").fill("conv19")
    print(f"filter the layers: {longest_task(page)}")
    page.locator("table.layers tbody a").last.click()
    page.locator(".plot").first.wait_for()
    print(f"open a layer: {longest_task(page)}")
    page.locator(".plot").first.hover()
    print(f"read a chart: {longest_task(page)}")


def main(argv: list[str]) -> None:
    """Builds the report, opens it, prints the figures."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]}")
    wide = page_cases.diagnosis("lagging", "wide", layers=LAYERS.value)
    others = (page_cases.bare("no-batch-norm", f"run{i}") for i in range(RUNS.value - 1))
    with tempfile.TemporaryDirectory() as folder, sync_api.sync_playwright() as started:
        file = pathlib.Path(folder, "report.html")
        file.write_text(html.render(Report((wide, *others)), View()), encoding="utf-8")
        print(f"{RUNS.value} runs, {LAYERS.value} layers: {file.stat().st_size / 1e6:.1f} MB")
        browser = started.chromium.launch(
            executable_path=CHROMIUM.value, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.add_init_script(WATCH)
        actions(page, file.as_uri())
        for library in LIBRARY.value:
            page.goto("about:blank")
            page.add_script_tag(path=library)
            size = pathlib.Path(library).stat().st_size / 1e6
            print(f"evaluate {library} ({size:.1f} MB): {longest_task(page)}")
        browser.close()


if __name__ == "__main__":
    app.run(main)
