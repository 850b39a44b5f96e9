"""What a change cured, caused and left, layer by layer."""

import pytest

from bn_tb import Report, UsageError
from bn_tb.gates.compare import Kind, by_place, compare, untouched
from bn_tb.reports.diff import render_diff
from tests.builders import made_diagnoses as made


def kinds(changes):
    return [(change.kind, change.finding.code, change.layers) for change in changes]


def test_finding_that_left_one_of_three_layers_is_cured_there_and_unchanged_elsewhere():
    old = made.stale(layers=("a", "b", "c"))
    new = made.stale(layers=("a", "b"))
    assert kinds(compare([old], [new])) == [
        (Kind.CURED, "BN101", ("c",)),
        (Kind.UNCHANGED, "BN101", ("a", "b")),
    ]


def test_caused_findings_come_first_and_errors_before_warnings():
    old = [made.stale("x"), made.healthy("y")]
    new = [made.healthy("x"), made.broken("y")]
    changes = kinds(compare(old, new))
    assert [kind for kind, _, _ in changes] == [Kind.CAUSED] * 2 + [Kind.CURED] * 2
    assert [code for _, code, _ in changes] == ["BN301", "BN202", "BN101", "BN202"]


def test_run_that_is_gone_cures_nothing_and_is_named():
    old = [made.stale("x"), made.healthy("y")]
    new = [made.healthy("y")]
    changes = compare(old, new)
    assert kinds(changes) == [(Kind.UNCHANGED, "BN202", ("conv0/bn", "conv1/bn"))]
    assert "only in OLD: x" in render_diff(Report(tuple(old)), Report(tuple(new)), changes)


def test_two_single_runs_are_compared_whatever_their_names_are():
    assert kinds(compare([made.broken("x")], [made.broken("y")])) == [
        (Kind.UNCHANGED, "BN301", ("conv0/bn",))
    ]


def test_several_findings_without_layers_are_told_apart():
    old, new = made.unreadable("x"), made.unreadable("x")
    both = made.run_of("suspect", "x", (), findings=(*new.findings, *new.findings))
    assert [kind for kind, _, _ in kinds(compare([old], [both]))] == [Kind.CAUSED, Kind.UNCHANGED]


def test_equal_names_in_two_logdirs_are_two_runs_when_told_by_place():
    old = [made.stale(logdir="a"), made.stale(logdir="b")]
    new = [made.healthy("NoCD/train"), made.stale(logdir="b")]
    assert Kind.CURED not in {kind for kind, _, _ in kinds(compare(old, new, by_place))}


def test_finding_that_grew_by_a_layer_is_not_untouched():
    old, new = made.stale(layers=("a",)), made.stale(layers=("a", "b"))
    assert untouched(compare([old], [new])) == ()
    assert len(untouched(compare([old], [old]))) == 1


def test_diff_of_hostile_names_has_no_control_characters():
    run = made.stale("\x1b[2Jx", layers=("\x1b]8;;a\x07",))
    changes = compare([made.healthy()], [run])
    text = render_diff(Report((made.healthy(),)), Report((run,)), changes)
    assert "\x1b" not in text


def test_other_formats_of_a_diff_are_refused():
    with pytest.raises(UsageError, match="want text or json"):
        render_diff(Report(()), Report(()), (), "html")
