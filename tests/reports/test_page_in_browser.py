"""The tab in TensorBoard and the HTML report, in Chromium."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import bn_tb
from bn_tb.reports import html
from bn_tb.reports.report import Report, View
from tests.builders import page_cases, written_logs
from tests.builders.written_checkpoints import saved_checkpoint
from tests.places import ROOT
from tests.plugin.test_plugin_process import BREAK, installed

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
playwright.expect.set_options(timeout=30_000)
CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 60_000  # milliseconds; a test that succeeds needs a few hundred on an idle machine


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A page whose errors fail the test."""
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(PATIENCE)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: refused(message) and errors.append(message.text))
    yield page
    page.close()
    assert errors == []


def refused(message):
    return message.type == "error" and "Content Security Policy" in message.text


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for write in written_logs.KINDS:
        write(folder)
    return folder


@pytest.fixture(scope="module")
def tensorboard(logdir, tmp_path_factory):
    """The address of a TensorBoard with the tab."""
    site = installed(tmp_path_factory.mktemp("site"))
    (site / "sitecustomize.py").write_text(BREAK.format(name="tensorflow"))
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--port=0"],
        env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    address = next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
    yield address
    process.terminate()
    process.wait()


def verdicts(folder):
    diagnoses = bn_tb.diagnose(bn_tb.read_logdir(folder))
    return {
        run["run"]: run["verdict"] for run in json.loads(bn_tb.render(diagnoses, "json"))["runs"]
    }


def open_tab(page, tensorboard, state=""):
    page.goto(f"{tensorboard}#bn_tb{state}")
    return page.frame_locator("iframe")


def listed(tab):
    """Returns the verdicts of the list of runs once all are known."""
    status = tab.locator(".list-status")
    playwright.expect(status).to_have_text(re.compile(r"^\d+ runs?$"))
    names = tab.locator(".runs .run-name").all_text_contents()
    return dict(zip(names, tab.locator(".runs .run-verdict").all_text_contents(), strict=True))


def test_the_tab_shows_the_verdicts_of_analyze_worst_first(page, tensorboard, logdir):
    shown = listed(open_tab(page, tensorboard))
    assert shown == verdicts(logdir)
    assert next(iter(shown)) == "broken"


def test_from_the_list_to_a_run_to_a_layer_to_its_charts_and_back(page, tensorboard):
    tab = open_tab(page, tensorboard)
    tab.locator(".runs a", has_text="stale").click()
    playwright.expect(tab.locator("h2")).to_have_text("stale")
    playwright.expect(tab.locator(".finding .rule").first).to_contain_text("BN101")
    tab.locator("table.layers tbody a").first.click()
    playwright.expect(tab.locator("h2")).to_have_text("bn1")
    assert "p.bn_tb.layer=bn1" in page.url
    mean = tab.get_by_role("slider", name=re.compile("Moving mean"))
    playwright.expect(mean).to_have_attribute("aria-label", re.compile("never left its initial"))
    assert mean.locator("path.line").count() == 1
    page.keyboard.press("Escape")
    playwright.expect(tab.locator("h2")).to_have_text("stale")
    page.go_back()
    playwright.expect(tab.locator("h2")).to_have_text("bn1")


@pytest.mark.parametrize("steps", [[7], [100, 200, 300]])
def test_points_of_checkpoints_are_hollow_and_named(steps, page, tmp_path):
    for step in steps:
        saved_checkpoint(tmp_path, step)
    diagnoses = bn_tb.diagnose(tmp_path)
    (tmp_path / "report.html").write_text(bn_tb.render(diagnoses, "html"))
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("table.layers tbody a").first.click()
    mean = page.get_by_role("slider", name=re.compile("Moving mean"))
    titles = mean.locator("circle.hollow title").all_text_contents()
    assert titles == [f"net-{step}.safetensors, step {step}" for step in steps]
    legend = page.locator("figure.chart", has=mean).locator(".legend")
    playwright.expect(legend).to_contain_text("checkpoint")
    mean.press("End")
    playwright.expect(legend).to_contain_text(f"checkpointnet-{steps[-1]}.safetensors")


def test_a_link_to_a_layer_opens_it(page, tensorboard):
    tab = open_tab(page, tensorboard, "&p.bn_tb.run=healthy&p.bn_tb.layer=bn2")
    playwright.expect(tab.locator("h2")).to_have_text("bn2")
    playwright.expect(tab.locator(".title-line .badge")).to_have_text("healthy")


def test_a_link_to_a_run_that_is_gone_says_so(page, tensorboard):
    tab = open_tab(page, tensorboard, "&p.bn_tb.run=nobody")
    playwright.expect(tab.locator(".state")).to_contain_text("there is no run 'nobody'")


def test_dark_mode_is_followed_while_the_page_is_open(page, tensorboard):
    tab = open_tab(page, tensorboard)
    root = tab.locator("html")
    playwright.expect(root).to_have_attribute("data-theme", "light")
    page.evaluate("document.body.classList.add('dark-mode')")
    playwright.expect(root).to_have_attribute("data-theme", "dark")
    page.evaluate("document.body.classList.remove('dark-mode')")
    playwright.expect(root).to_have_attribute("data-theme", "light")


def test_reload_shows_what_was_appended(page, tensorboard, logdir):
    tab = open_tab(page, tensorboard, "&p.bn_tb.run=stale")
    header = tab.locator(".page-header")
    playwright.expect(header).to_contain_text(f"to {written_logs.STEPS - 1}")
    (file,) = (logdir / "stale").iterdir()
    before = file.read_bytes()
    with file.open("ab") as end:
        more = range(written_logs.STEPS, written_logs.STEPS + 20)
        end.write(written_logs.statistics(more, momentum=1.0))
    page.locator(".reload-button").first.click()
    playwright.expect(header).to_contain_text(f"to {written_logs.STEPS + 19}")
    file.write_bytes(before)


def test_filters_and_keys_work_in_the_list_of_runs(page, tensorboard):
    tab = open_tab(page, tensorboard)
    listed(tab)
    tab.get_by_role("button", name="1 stale").click()
    assert tab.locator(".runs .run-name").all_text_contents() == ["stale"]
    tab.get_by_role("button", name="1 stale").click()
    tab.get_by_label("Filter runs by name").fill("st")
    tab.locator(".runs a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    playwright.expect(tab.locator("h2")).to_be_visible()
    assert "p.bn_tb.text=st" in page.url


def test_keys_read_a_chart_step_by_step(page, tensorboard):
    tab = open_tab(page, tensorboard, "&p.bn_tb.run=healthy&p.bn_tb.layer=bn1")
    chart = tab.get_by_role("slider", name=re.compile("Moving variance"))
    chart.focus()
    page.keyboard.press("Home")
    playwright.expect(chart).to_have_attribute("aria-valuetext", re.compile("^step 0: .*median 1"))
    page.keyboard.press("ArrowRight")
    playwright.expect(chart).to_have_attribute("aria-valuetext", re.compile("^step [1-9]"))


def test_the_links_lead_to_the_tag_in_other_tabs(page, tensorboard):
    tab = open_tab(page, tensorboard, "&p.bn_tb.run=stale&p.bn_tb.layer=bn1")
    tab.get_by_role("link", name="Histograms").click()
    playwright.expect(page.locator("tf-histogram-dashboard")).to_be_visible()
    assert page.evaluate("location.hash").startswith("#histograms&tagFilter=bn1")
    shown = page.locator("tf-tag-filterer input")
    playwright.expect(shown).to_have_value(r"bn1\.running_mean|bn1\.running_var")


def test_the_report_of_a_run_is_downloaded(page, tensorboard):
    tab = open_tab(page, tensorboard, "&p.bn_tb.run=stale")
    with page.expect_download() as download:
        tab.get_by_role("link", name="JSON").click()
    (run,) = json.loads(download.value.path().read_text())["runs"]
    assert (run["run"], run["verdict"]) == ("stale", "stale")


def test_every_request_of_the_tab_stays_with_tensorboard(page, tensorboard):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    listed(open_tab(page, tensorboard))
    assert [url for url in asked if not url.startswith((tensorboard, "data:"))] == []


@contextlib.contextmanager
def offline_report(page, folder, diagnoses, state=""):
    """Opens an HTML report from disk; a request to anywhere fails the test."""
    file = folder / "report.html"
    file.write_text(html.render(Report(tuple(diagnoses)), View()), encoding="utf-8")
    asked = []
    page.route("**/*", lambda route: asked.append(route.request.url) or route.continue_())
    page.goto(f"{file.as_uri()}#{state}")
    yield
    assert asked == [file.as_uri()]


def test_the_report_opens_offline_and_shows_the_missing_edge(page, tmp_path):
    state = "run=nocontrol_deps/train&layer=conv0/bn"
    with offline_report(page, tmp_path, page_cases.usual(), state):
        playwright.expect(page.locator("h2")).to_have_text("conv0/bn")
        assert page.locator(".wiring .edge.missing").count() == 2
        assert page.locator(".wiring .edge.needs").count() == 0
        assert page.locator(".chart .plot").count() == 4


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_missing_edge_and_the_untrusted_steps_stand_above_the_findings(page, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 900})
    with offline_report(page, tmp_path, page_cases.usual(), "run=nocontrol_deps/train"):
        edge = page.locator(".wiring .edge.missing").first
        shaded = page.locator(".plot rect.region").first
        finding = page.locator(".finding").first.bounding_box()["y"]
        assert edge.bounding_box()["y"] < finding
        assert shaded.bounding_box()["y"] < finding
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_lag_is_shown_by_the_share_of_the_initial_value(page, tmp_path):
    with offline_report(page, tmp_path, page_cases.usual(), "run=momentum_0.999/train"):
        titles = page.locator(".pictures .chart-title")
        playwright.expect(titles).to_have_text(["Accuracy", "Initial value left in evaluation"])


def test_the_report_goes_from_runs_to_layers_by_mouse(page, tmp_path):
    with offline_report(page, tmp_path, page_cases.usual()):
        assert page.locator(".overview tbody tr").count() == 6
        page.locator(".overview tbody tr", has_text="momentum_0.999").click()
        playwright.expect(page.locator(".finding .message")).to_contain_text("Momentum 0.999")
        page.locator("table.layers tbody tr").first.click()
        playwright.expect(page.locator("h2")).to_have_text("conv0/bn")
        assert page.locator(".plot .tone-accent").count() >= 2


def test_the_report_is_dark_where_the_system_is_and_light_on_paper(page, tmp_path):
    page.emulate_media(color_scheme="dark")
    with offline_report(page, tmp_path, page_cases.usual(), "run=fixed/train"):
        background = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(background) != "rgb(255, 255, 255)"
        page.emulate_media(media="print")
        assert page.evaluate(background) == "rgb(255, 255, 255)"
        playwright.expect(page.locator(".sidebar")).to_be_hidden()
        playwright.expect(page.locator("table.layers")).to_be_visible()


HOSTILE = '<img src=x onerror="document.title=1">'


def test_nothing_from_a_log_becomes_markup(page, tmp_path):
    hostile = page_cases.diagnosis("stale", f"</script>{HOSTILE}", layer_name=HOSTILE + "{}")
    runs = [hostile, page_cases.bare("no-batch-norm", HOSTILE)]
    with offline_report(page, tmp_path, runs):
        title = page.title()
        page.locator(".overview tbody a").first.click()
        playwright.expect(page.locator("h2")).to_have_text(f"</script>{HOSTILE}")
        page.locator("table.layers tbody a").first.click()
        playwright.expect(page.locator("h2")).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0
        assert page.title() == title


def test_runs_are_sorted_and_found_by_their_hyperparameters(page, tmp_path):
    runs = [page_cases.bare("no-batch-norm", f"lr={lr}") for lr in ("0.5", "10", "2")]
    for at, (run, lr) in enumerate(zip(runs, (0.5, 10, 2), strict=True)):
        settings = dataclasses.replace(run.subject.run, hyperparameters={"lr": lr, "net": HOSTILE})
        runs[at] = dataclasses.replace(run, subject=dataclasses.replace(run.subject, run=settings))
    runs.append(page_cases.bare("no-batch-norm", "plain"))
    with offline_report(page, tmp_path, runs):
        names = page.locator(".runs .run-name")
        page.get_by_label("Sort runs").select_option("lr")
        playwright.expect(names).to_have_text(["lr=0.5", "lr=2", "lr=10", "plain"])
        page.get_by_label("Filter runs by name").fill("lr=1 onerror")
        playwright.expect(names).to_have_text(["lr=10"])
        assert page.locator("img").count() == 0


def test_500_runs_and_200_layers_are_listed_filtered_and_sorted(page, tmp_path):
    """How long that takes is measured by scripts/bench_page.py."""
    wide = page_cases.diagnosis("stale", "wide", layers=200, points=40)
    runs = [wide, *(page_cases.bare("no-batch-norm", f"run{i}") for i in range(499))]
    with offline_report(page, tmp_path, runs):
        playwright.expect(page.locator(".list-status")).to_have_text("500 runs")
        page.get_by_label("Filter runs by name").fill("wid")
        page.locator(".runs a").first.click()
        playwright.expect(page.locator("table.layers tbody tr")).to_have_count(200)
        page.get_by_role("button", name="Layer", exact=True).click()
        playwright.expect(page.locator("table.layers tbody tr")).to_have_count(200)
        page.get_by_label("Filter layers").fill("conv19")
        assert page.locator("table.layers tbody tr:visible").count() == 11
