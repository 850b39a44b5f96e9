"""docs/reports.md shows what there is."""

import json
import re

import pytest

from bn_tb import settings
from bn_tb.command import flags as analyze_flags
from tests.places import ROOT

PAGE = (ROOT / "docs/reports.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_flag_is_documented_and_every_documented_flag_exists():
    flags = {flag.name for group in analyze_flags.GROUPS.values() for flag in group}
    shown = set(re.findall(r"--(\w+)", PAGE))
    assert shown <= flags
    assert flags - shown <= {"config", "version"}  # said by --help alone


def test_configuration_of_the_page_is_valid_and_has_most_keys(tmp_path):
    (example,) = blocks("toml")
    (tmp_path / "bn_tb.toml").write_text(example, encoding="utf-8")
    loaded = settings.load(tmp_path / "bn_tb.toml")
    assert loaded.limits == {"BN201": {"lagging": 0.1}}
    assert loaded.suppress[0].code == "BN101"


@pytest.mark.parametrize("number", range(2))
def test_json_of_the_page_is_json(number):
    assert json.loads(blocks("json")[number])


def test_links_of_the_page_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
