"""Imports go one way, down one list: values, reading, judging, reporting, the doors."""

import ast

import pytest

from tests.places import ROOT

PACKAGE = ROOT / "bn_tb"
ORDER = (
    *(
        "errors",
        "version",
        "plain_values",
        "runs",
        "files",
        "events",
        "checkpoints",
        "sources",
        "graph",
        "layers",
    ),
    *(
        "evidence",
        "rules",
        "diagnosis",
        "gates",
        "reports",
        "api",
        "terminal",
        "settings",
        "repair",
    ),
    *("monitor", "fleet", "command", "plugin", "training", "train", "analyze", "__main__"),
)
HEAVY = {"tensorflow", "tf_keras", "keras", "torch"}


def stage(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Yields the modules that a file imports, wherever in it; not those only for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            submodules = node.module == "bn_tb"
            yield from (
                (f"bn_tb.{name.name}" for name in node.names) if submodules else (str(node.module),)
            )


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_and_earlier_stages(path):
    own = ORDER.index(stage(path))
    ours = [module.split(".")[1] for module in imports(path) if module.startswith("bn_tb.")]
    assert [name for name in ours if name in ORDER and ORDER.index(name) > own] == []


ADAPTERS = {"repair/pytorch.py", "repair/tf1.py", "monitor/pytorch.py", "monitor/tf1.py"}
"""Imported for models and sessions of their framework only."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_training_and_adapters_import_a_framework(path):
    found = {module.split(".")[0] for module in imports(path)} & HEAVY
    place = path.relative_to(PACKAGE).as_posix()
    assert not found or stage(path) == "training" or place in ADAPTERS
