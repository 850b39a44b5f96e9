"""Accepting a fault accepts what it costs, and nothing else."""

import dataclasses

import numpy as np
import pytest

from bn_tb.diagnosis import Options, diagnose
from bn_tb.gates.suppressions import Suppression
from bn_tb.reports.report import ExitCode, Report
from tests.builders.synthetic import constant, layer, run, scalar

STEPS = np.arange(0, 100, 10)


def costly(options=Options()):
    """The diagnosis of two stale layers, whose accuracy parts from that of training."""
    metrics = {
        "acc": scalar(STEPS, np.linspace(0.1, 0.99, 10)),
        "val_acc": scalar(STEPS, np.full(10, 0.1)),
    }
    stale = [layer(name, constant(0, 10), constant(1, 10), STEPS) for name in ("a", "b")]
    (diagnosis,) = diagnose([run(dict(stale[0], **stale[1]), metrics)], options)
    return diagnosis


def codes(diagnosis):
    return [finding.code for finding in diagnosis.findings]


def exit_code(diagnosis, *codes, layer="*"):
    entries = tuple(Suppression(code, "accepted", layer) for code in codes)
    return Report((diagnosis,), suppressions=entries).exit_code


def test_who_accepts_a_fault_is_not_failed_by_what_it_costs():
    diagnosis = costly()
    assert codes(diagnosis) == ["BN101", "BN501"]
    assert exit_code(diagnosis) == ExitCode.FINDINGS
    assert exit_code(diagnosis, "BN101") == ExitCode.CLEAN
    report = Report((diagnosis,), suppressions=(Suppression("BN101", "accepted"),))
    assert report.suppressed(diagnosis, diagnosis.findings[1]) == "accepted"


def test_the_cost_fails_while_something_that_explains_it_is_not_accepted():
    diagnosis = costly()
    assert exit_code(diagnosis, "BN101", layer="a") == ExitCode.FINDINGS
    fault, cost = diagnosis.findings
    other = dataclasses.replace(fault, code="BN103")
    cost = dataclasses.replace(cost, causes=("BN101", "BN103"))
    two = dataclasses.replace(diagnosis, findings=(fault, other, cost))
    assert exit_code(two, "BN101") == ExitCode.FINDINGS
    assert exit_code(two, "BN101", "BN103") == ExitCode.CLEAN


def test_who_accepts_the_cost_alone_is_failed_by_the_fault():
    assert exit_code(costly(), "BN501") == ExitCode.FINDINGS


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(ignore=("BN101",)), []),
        (Options(ignore=("BN1",)), []),
        (Options(ignore=("BN2",)), ["BN101", "BN501"]),
        (Options(ignore=("BN5",)), ["BN101"]),
        (Options(select=("BN5",)), ["BN501"]),
    ],
    ids=["the fault", "its prefix", "others", "the cost", "only the cost selected"],
)
def test_who_ignores_a_fault_is_not_told_what_it_costs(options, told):
    assert codes(costly(options)) == told
