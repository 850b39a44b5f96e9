"""The recipes of BUILD.md lead to places that are there, and a rule is one file and one line."""

import dataclasses
import re

import numpy as np
import pytest

import bn_tb
from bn_tb.checkpoints import formats
from bn_tb.checkpoints.contents import Contents, Stored
from bn_tb.diagnosis import diagnose, diagnosing
from bn_tb.monitor.history import Snapshot
from bn_tb.monitor.judge import Judge
from bn_tb.reports import RENDERERS, render
from bn_tb.rules import ALL_RULES, RULES
from bn_tb.rules.subject import Evidence
from bn_tb.rules.verdict import Meaning, Verdict
from bn_tb.runs.run import Run
from tests.builders import synthetic
from tests.places import ROOT

TEXT = (ROOT / "BUILD.md").read_text(encoding="utf-8")
RECIPES = TEXT[TEXT.index("## Recipes") : TEXT.index("## Release")]
PATHS = re.findall(r"`((?:bn_tb|tests|scripts)/[\w/.]+)`", RECIPES)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_a_recipe_exists(path):
    assert (ROOT / path).exists()


def test_a_rule_that_is_added_speaks_and_gives_its_verdict(monkeypatch):
    def check(subject, limits):
        yield Evidence("Made up.", (), "Nothing.", tuple(one.layer for one in subject.layers[:0]))

    rule = dataclasses.replace(
        ALL_RULES[0], code="BN199", name="made-up", check=check, covers=(), explained_by=(),
        meaning=Meaning(Verdict.SUSPECT),
    )  # fmt: skip
    rules = (*ALL_RULES, rule)
    for module in (diagnosing, __import__("bn_tb.diagnosis.folding", fromlist=["x"])):
        monkeypatch.setattr(module, "ALL_RULES", rules)
    monkeypatch.setitem(RULES, "BN199", rule)
    (judged,) = diagnose([synthetic.run(None, {"loss": synthetic.scalar([0, 1], [1, 0.5])})])
    assert [finding.code for finding in judged.findings] == ["BN199"]
    assert judged.verdict == "suspect"


def test_a_report_format_that_is_added_is_rendered(monkeypatch):
    monkeypatch.setitem(RENDERERS, "mine", "bn_tb.reports.json_report")
    assert render((), "mine").startswith("{")


def test_a_checkpoint_format_that_is_added_is_judged(monkeypatch, tmp_path):
    def stored(values):
        values = np.asarray(values, np.float32)
        return Stored("float32", values.shape, lambda at, most: values.tobytes()[at : at + most])

    def read(file):
        names = {"moving_mean": [0, 0], "moving_variance": [1, 1], "beta": [0.3, -0.2]}
        tensors = {f"bn/{name}": stored(values) for name, values in names.items()}
        return Contents("mine", tensors, {"global_step": 900}, optimizer_steps=900)

    mine = (lambda file: file.read(0, 4) == b"MINE", read)
    monkeypatch.setattr(formats, "FORMATS", (mine, *formats.FORMATS))
    (tmp_path / "model.ckpt").write_bytes(b"MINE")
    assert bn_tb.diagnose(tmp_path).verdict == "stale"


def test_a_source_that_is_added_gives_runs_that_are_judged(tmp_path):
    statistics = {
        f"bn/{name}": synthetic.histogram(range(100), np.full((100, 4), value))
        for name, value in (("moving_mean", 0.0), ("moving_variance", 1.0))
    }
    weights = {"dense/kernel": synthetic.histogram(range(100), np.random.rand(100, 4))}
    run = Run(name="mine", logdir="db://mine", histograms=statistics | weights)
    assert [one.verdict for one in bn_tb.diagnose([run])] == ["stale"]


def test_a_monitor_that_is_added_judges_live_and_writes_a_log_of_the_same_verdict(tmp_path):
    random = np.random.RandomState(0)

    def look(step):
        values = {"moving_mean": np.zeros(4), "moving_variance": np.ones(4)}
        values["gamma"] = random.rand(4)
        tags = {f"bn/{name}": each for name, each in values.items()}
        return lambda: Snapshot(step, tags, {"optimizer_steps": float(step)})

    judge = Judge(tmp_path, None)
    with pytest.warns(bn_tb.BatchNormWarning, match="BN101"):
        for step in range(0, 200, 20):
            judge.take(look(step), final=step == 180)
    judge.close()
    assert judge.diagnoses()[0].verdict == bn_tb.diagnose(tmp_path).verdict == "stale"
