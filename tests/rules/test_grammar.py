"""Messages agree in number, whether they speak of one layer, of two or of fifty."""

import dataclasses
import re

import pytest

from bn_tb.diagnosis import Options, subjects_of
from bn_tb.rules import ALL_RULES
from bn_tb.rules.subject import Subject
from tests.rules import cases_graphs, cases_histograms, cases_runs
from tests.rules.case import CASES

assert cases_graphs and cases_histograms and cases_runs  # their rows are in CASES

ONE = r"\b[Ll]ayer [^\s,:]+"
MANY = r"\b(?:2|50) layers \([^)]*\)"
WRONG = [
    re.compile(pattern)
    for pattern in (
        r"(?<![\d.,])1 (?!of )\w*(?:layers|steps|points|times|writers|updates|channels|others)\b",
        r"\bone (?:steps|points|times|layers)\b",
        r"(?<![\d.,])(?:[2-9]|\d\d+) (?:layer|point|channel)\b(?!-)",
        rf"(?<!of ){ONE} (?:were|are|have|keep|hang|hold|write)\b",
        rf"(?<!of ){MANY} (?:was|is|has|keeps|hangs|holds|writes)\b",
        rf"[Ss]tatistics of (?:{ONE}|{MANY}) (?:was|is|has|holds|moves|keeps)\b",
        rf"(?<!mean of )(?<!variance of ){MANY}[^.;:]*\bits\b",
        r"layers layer|layer \d+ layers|  ",
    )
]


def _many(subject: Subject, number: int) -> Subject:
    """Returns a subject in which every layer is there `number` times."""
    names = [f"_{n}" if n else "" for n in range(number)]

    def renamed(layer, end):
        wiring = layer.wiring and dataclasses.replace(layer.wiring, layer=layer.wiring.layer + end)
        return dataclasses.replace(layer, name=layer.name + end, wiring=wiring)

    graph = subject.graph and dataclasses.replace(
        subject.graph,
        layers={
            name + end: dataclasses.replace(layer, layer=layer.layer + end)
            for name, layer in subject.graph.layers.items()
            for end in names
        },
        cross_model=tuple(
            (train, name + end) for train, name in subject.graph.cross_model for end in names
        ),
    )
    return dataclasses.replace(
        subject,
        layers=tuple(renamed(layer, end) for end in names for layer in subject.layers),
        lags=tuple(lag for _ in names for lag in subject.lags),
        related=tuple(_many(other, number) for other in subject.related),
        graph=graph,
    )


def _judged(made) -> list[Subject]:
    if isinstance(made, Subject):
        return [made]
    made = made if isinstance(made, tuple) else (made,)
    options = next((one for one in made if isinstance(one, Options)), Options())
    return list(subjects_of((one for one in made if not isinstance(one, Options)), options))


def _messages(code: str, subject: Subject) -> list[str]:
    """Returns what a rule and those before it that it builds upon say."""
    for rule in ALL_RULES:
        limits = {name: limit.value for name, limit in rule.limits.items()}
        found = tuple(rule.check(subject, limits))
        if rule.code == code:
            return [line for one in found for line in (one.message, *one.proof)]
        subject = dataclasses.replace(subject, found=subject.found.plus(rule.code, found))
    return []


@pytest.mark.parametrize("number", [1, 2, 50])
@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_every_message_agrees_in_number(rule, number):
    lines = [
        line
        for row in CASES
        if (row.code, row.kind) == (rule.code, "fires")
        for subject in _judged(row.make())
        for line in _messages(rule.code, _many(subject, number))
    ]
    assert lines
    wrong = [line for line in lines if any(pattern.search(line) for pattern in WRONG)]
    assert not wrong
