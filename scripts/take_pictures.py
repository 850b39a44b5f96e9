"""Takes the README's pictures of TensorBoard.

    ./scripts/demo && .venv/bin/python scripts/take_pictures.py

Starts TensorBoard on the demo's runs, opens it in Chromium, and writes to docs/pictures: the graph
with and without control dependencies, and the distributions of moving and of frozen statistics.
"""

import contextlib
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

from absl import app, flags
from playwright.sync_api import Page, sync_playwright

LOGDIR = flags.DEFINE_string("logdir", "logs/demo", "Folder with the runs BN/train and NoCD/train.")

PICTURES = pathlib.Path(__file__).parents[1] / "docs/pictures"
WAIT = 60_000  # ms; TensorBoard reads the logs first


@contextlib.contextmanager
def tensorboard(logdir: pathlib.Path) -> Iterator[str]:
    """Runs TensorBoard on a free port; yields its address."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "http://" in line)
            yield next(word for word in line.split() if word.startswith("http://"))
        finally:
            process.terminate()


def settle(page: Page) -> None:
    """Waits until TensorBoard's animations, which tell no one of their end, are over."""
    page.wait_for_timeout(3000)


def graph_picture(page: Page, address: str, model: str, path: pathlib.Path) -> None:
    """Expands the model and selects its `update_ops`, whose edges TensorBoard then shows."""
    page.set_viewport_size({"width": 1500, "height": 1060})
    page.goto(f"{address}#graphs")
    page.wait_for_selector(f'g.node[data-name="{model}"]', timeout=WAIT)
    settle(page)
    page.locator(f'g.node[data-name="{model}"] .nodeshape rect').first.dblclick()
    settle(page)
    page.locator(f'g.node[data-name="{model}/update_ops"] .nodeshape rect').first.click()
    settle(page)
    page.screenshot(path=path, clip={"x": 350, "y": 60, "width": 1150, "height": 1000})


def distributions_picture(page: Page, address: str, path: pathlib.Path) -> None:
    """Shows one layer's moving statistics in both runs: minimum, maximum and percentiles."""
    page.set_viewport_size({"width": 1090, "height": 700})
    page.goto(f"{address}#distributions&tagFilter=conv2.*moving")
    page.wait_for_selector("text=moving_mean", timeout=WAIT)
    settle(page)
    page.screenshot(path=path, clip={"x": 265, "y": 180, "width": 715, "height": 490})


def main(_: list[str]) -> None:
    """Takes all pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    logdir = pathlib.Path(LOGDIR.value)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        for model, name in (("BN", "control_deps"), ("NoCD", "nocontrol_deps")):
            with tensorboard(logdir / model) as address:
                graph_picture(page, address, model, PICTURES / f"graph_{name}.png")
        with tensorboard(logdir) as address:
            distributions_picture(page, address, PICTURES / "distributions.png")
        browser.close()


if __name__ == "__main__":
    app.run(main)
