"""Takes the pictures of the BatchNorm tab for README.md and docs/tensorboard.md.

    python scripts/page_pictures.py LOGDIR

LOGDIR holds a stale run and a lagging run of the demo experiment. bn_tb must be installed (see
BUILD.md), since TensorBoard finds the tab by its entry point.
"""

import pathlib
import re
import subprocess
import sys
import urllib.parse

from absl import app, flags
from playwright import sync_api

STALE = flags.DEFINE_string("stale", "NoCD/train", "Name of the stale run.")
LAGGING = flags.DEFINE_string("lagging", "BN_momentum0.999/train", "Name of the lagging run.")
CHROMIUM = flags.DEFINE_string("chromium", "/usr/bin/chromium", "The browser.")

PICTURES = pathlib.Path(__file__).parent.parent / "docs/pictures"
WIDTH = 1240  # pixels; GitHub shows about 900


def picture(
    page: sync_api.Page, address: str, run: str | None, layer: bool, file: str, height: int
) -> None:
    """Writes a picture of all runs, of a run's page, or of the page of its first layer."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto("about:blank")
    state = f"&p.bn_tb.run={urllib.parse.quote(run, safe='')}" if run else ""
    page.goto(f"{address}#bn_tb{state}")
    tab = page.frame_locator("iframe")
    if run:
        sync_api.expect(tab.locator("h1")).to_have_text(run)
    else:
        sync_api.expect(tab.locator(".list-status")).to_have_text(re.compile(r"^\d+ runs$"))
    if layer:
        tab.locator(".item a").first.click()
        tab.locator(".wiring").wait_for()
    page.mouse.move(WIDTH - 5, height - 5)
    page.screenshot(path=PICTURES / file)
    print(PICTURES / file)


def main(argv: list[str]) -> None:
    """Starts TensorBoard and a browser and takes the pictures."""
    if len(argv) != 2:
        raise app.UsageError("want one LOGDIR")
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={argv[1]}", "--port=0"]
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server,
        sync_api.sync_playwright() as started,
    ):
        try:
            found = (re.search(r"http://\S+", line) for line in server.stderr or ())
            address = next(match[0] for match in found if match)
            browser = started.chromium.launch(
                executable_path=CHROMIUM.value, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            picture(page, address, None, False, "tab_runs.png", 400)
            picture(page, address, STALE.value, False, "tab_stale.png", 1020)
            picture(page, address, STALE.value, True, "tab_stale_layer.png", 1160)
            picture(page, address, LAGGING.value, True, "tab_lagging.png", 1160)
            browser.close()
        finally:
            server.terminate()


if __name__ == "__main__":
    app.run(main)
