"""What bn_tb tells people to install, wherever it says so, can be installed as printed."""

import ast
import re
import runpy

import pytest
import setuptools

from bn_tb import train
from tests.places import ROOT

COMMAND = re.compile(r"pip install ('[^']+'|[\w.\[\]-]+)")
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "BUILD.md",
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("examples/*"),
    *ROOT.glob("tests/*/*.py"),
)


@pytest.fixture(scope="module")
def extras():
    """Returns the names of packages of each extra of setup.py."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", found.update)
        runpy.run_path(str(ROOT / "setup.py"))
    return {
        extra: {re.match(r"[\w.-]+", one)[0] for one in requirements}
        for extra, requirements in found["extras_require"].items()
    }


def strings(path):
    """Returns what a module can print: its string literals, `{}` where a value is put in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.value


def printed():
    """Yields what our program, scripts and page tell people to install: module and arguments."""
    for path in sorted([*ROOT.glob("bn_tb/**/*.py"), *ROOT.glob("scripts/*.py")]):
        for text in strings(path):
            for match in re.finditer(r"pip install ([^,;)\n]*)", text):
                yield str(path.relative_to(ROOT)), match[1].strip()


def test_messages_name_packages_and_not_extras_of_a_project_that_no_index_has(extras):
    told = dict(printed())
    assert len(told) >= 5  # or this test looks at the wrong place
    assert told.pop("bn_tb/train.py") == "{}"  # the names of the next test
    packages = set().union(*extras.values())
    assert {path: names for path, names in told.items() if not set(names.split()) <= packages} == {}


def test_the_training_asks_for_the_packages_of_its_extra(extras):
    assert set(train.NEEDED) == extras["train"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_install_from_the_clone_or_say_that_it_takes_a_release(path, extras):
    text = path.read_text(encoding="utf-8").replace("\n", " ")
    for match in COMMAND.finditer(text):
        name = match[1].strip("'")
        around = text[max(match.start() - 60, 0) : match.end() + 60]
        assert not name.startswith("bn_tb") or "release" in around, match[0]
        extra = re.search(r"\[(\w+)\]", name)
        assert extra is None or extra[1] in extras, match[0]
