"""The documents as a site: everything that a reader is led to is on it."""

import os
import re
import subprocess
import sys

import pytest

import bn_tb
from bn_tb.version import __version__
from tests.places import ROOT

for package in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(package, reason="needs the site's tools: pip install '.[docs]'")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the site, and what mkdocs said."""
    site = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", f"--site-dir={site}"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    return site, done


def page(built, name):
    return (built[0] / name).read_text(encoding="utf-8")


def test_the_site_builds_without_a_warning(built):
    assert built[1].returncode == 0, built[1].stderr
    assert "WARNING" not in built[1].stderr


def test_rules_and_changelog_are_on_the_site(built):
    assert all(f'id="{rule.code.lower()}' in page(built, "rules.html") for rule in bn_tb.ALL_RULES)
    assert f"{__version__}" in page(built, "changelog.html")


def test_every_public_name_is_in_the_reference(built):
    reference = page(built, "api.html")
    assert [name for name in bn_tb.__all__ if f"bn_tb.{name}" not in reference] == []


def test_the_reference_shows_what_docstrings_say(built):
    reference = page(built, "api.html")
    assert "A logdir or event file, several of them, or runs" in reference
    assert "The worst verdict of all runs." in reference


def test_every_link_of_every_page_leads_to_a_file_of_the_site(built):
    pages = [path for path in built[0].glob("**/*.html") if path.name != "404.html"]
    assert len(pages) > 10
    for path in pages:
        text = path.read_text(encoding="utf-8")
        targets = set(re.findall(r'(?:href|src)="(?![a-z]+:|#|//)([^"#?]+)', text))
        assert [one for one in targets if not (path.parent / one).exists()] == [], path.name


def test_nothing_is_loaded_from_elsewhere(built):
    for path in built[0].glob("**/*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)', text)
        loaded += re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(https?:[^"]+)', text)
        assert loaded == [], path.name
