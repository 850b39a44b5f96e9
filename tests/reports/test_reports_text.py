"""What a person reads in a terminal."""

import dataclasses

import numpy as np
import pytest

import bn_tb
from bn_tb import View
from bn_tb.reports.sparkline import separate_points, sparkline
from tests.builders import made_diagnoses as made

KINDS = [(kind.__name__, kind) for kind in (*made.EVERY_KIND, made.no_batch_norm)]


@pytest.mark.parametrize(("name", "kind"), KINDS)
@pytest.mark.parametrize("width", [80, 140])
def test_report_of_one_run_reads_as_agreed(golden, name, kind, width):
    golden(f"{name}_{width}.txt", bn_tb.render([kind()], view=View(width)))


def test_report_of_every_kind_shows_the_worst_run_first(golden):
    golden("every_kind.txt", bn_tb.render([kind() for _, kind in KINDS]))


def test_report_of_every_kind_in_ascii_has_no_other_character(golden):
    text = bn_tb.render([kind() for _, kind in KINDS], view=View(unicode=False))
    assert text.isascii()
    golden("every_kind_ascii.txt", text)


def test_report_of_200_layers_fits_a_screen(golden):
    layers = tuple(f"net/block{i}/unit/batch_normalization" for i in range(200))
    text = bn_tb.render([made.stale(layers=layers)])
    assert text.count("\n") < 30
    golden("200_layers.txt", text)


def test_report_of_500_runs_shows_every_verdict_and_each_fault_once(golden):
    kinds = (made.stale, made.healthy, made.healthy, made.lagging)
    text = bn_tb.render([kinds[i % 4](f"exp{i}/train") for i in range(500)])
    assert text.count("error BN101") == 1
    golden("500_runs.txt", text)


def test_verbose_report_names_every_run_and_layer():
    layers = tuple(f"block{i}/bn" for i in range(40))
    runs = [made.stale(f"exp{i}/train", layers) for i in range(40)]
    text = bn_tb.render(runs, view=View(verbose=True))
    assert text.count("error BN101") == 40
    assert "see them with" not in text
    assert all(text.count(f" block{i}/bn ") >= 40 for i in range(40))


def test_long_op_name_breaks_after_a_slash_and_nowhere_else():
    name = "/".join(
        ["network", "train", "Adam", "update_network", "conv0", "ResourceApplyAdam"] * 3
    )
    run = made.stale()
    findings = tuple(dataclasses.replace(each, evidence=(name,)) for each in run.findings)
    text = bn_tb.render([dataclasses.replace(run, findings=findings)])
    proof = text.split("Proof   - ")[1].split("Causes")[0].splitlines()[:-1]
    assert len(proof) > 1
    assert all(line.endswith("/") for line in proof[:-1])
    assert "".join(map(str.strip, proof)) == name


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_apart_from_code(width):
    layers = tuple("a" * 90 + f"{i}/batch_normalization" for i in range(3))
    text = bn_tb.render([made.stale(layers=layers), made.broken()], view=View(width))
    code = "updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)"
    assert code in text  # unbroken, however narrow
    for line in text.splitlines():
        assert len(line) <= width or "tf." in line or "train_op =" in line, line


def test_colour_is_written_only_when_asked_for():
    assert "\x1b[" not in bn_tb.render([made.stale()])
    assert "\x1b[1;31m" in bn_tb.render([made.stale()], view=View(colour=True))


def test_colour_changes_no_character_of_the_text():
    from rich.text import Text

    plain = bn_tb.render([made.stale(), made.healthy()])
    coloured = bn_tb.render([made.stale(), made.healthy()], view=View(colour=True))
    bare = [line.rstrip() for line in Text.from_ansi(coloured).plain.splitlines()]
    assert bare == plain.splitlines()


def test_environment_of_the_process_does_not_change_a_rendered_text(monkeypatch):
    plain = bn_tb.render([made.stale()])
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert bn_tb.render([made.stale()]) == plain


def test_sparkline_shows_plateaus_and_gaps_at_the_right_place():
    steps = np.arange(8)
    values = np.array([0, 0, 0, 7, 7, np.nan, 7, 0], float)
    assert sparkline(steps, values, 8) == "▁▁▁██!█▁"


def test_sparkline_of_steps_that_went_back_is_drawn_in_order_of_steps():
    assert sparkline(np.array([4, 5, 1, 2]), np.array([4.0, 5, 1, 2]), 5) == "▁▃▃▆█"


def test_sparkline_of_one_point_or_none():
    assert sparkline(np.array([3]), np.array([1.0]), 4) == "▁▁▁▁"
    assert sparkline(np.array([], int), np.array([]), 4) == ""


def test_points_of_checkpoints_are_drawn_apart():
    steps, values = np.array([0, 50, 70]), np.array([0.0, 4, 7])
    assert separate_points(steps, values, 8) == "▁····▅·█"
    assert separate_points(steps, values, 8, unicode=False) == "_    = #"
    assert separate_points(steps[:1], values[:1], 4) == "▁···"


def test_sparkline_of_huge_values_overflows_nothing():
    values = np.array([-1.7e308, 1.7e308])
    assert len(sparkline(np.array([0, 1]), values, 4)) == 4


@pytest.mark.parametrize("width", [40, 50, 60, 70, 80])
def test_no_value_of_a_layer_is_cut_however_narrow_the_terminal(width):
    judged = made.lagging()
    text = bn_tb.render([judged], view=View(width))
    for layer in judged.subject.layers:
        first, last = layer.variance.mean[0], layer.variance.mean[-1]
        assert f"{first:.3g} → {last:.3g}" in text


def _experiment():
    """A stale training run with a gap, and its test run, which logs metrics alone."""
    train, test = made.stale("a/train"), made.no_batch_norm("a/test")
    gap = dataclasses.replace(
        train.findings[0], code="BN501", name="gap-explained", causes=("BN101",),
        message="This is not overfitting.", evidence=("accuracy 0.99 and 0.1",), layers=(),
    )  # fmt: skip
    subject = dataclasses.replace(test.subject, related=(train.subject,))
    beside = dataclasses.replace(train.subject, related=(test.subject,))
    return [
        dataclasses.replace(train, subject=beside, findings=(*train.findings, gap)),
        dataclasses.replace(test, subject=subject),
    ]


def test_a_gap_is_the_cost_of_its_cause_and_no_second_story():
    text = bn_tb.render(_experiment())
    assert "Cost    BN501: This is not overfitting." in text
    assert "error BN501" not in text and "- accuracy 0.99 and 0.1" in text


def test_runs_of_metrics_beside_a_judged_one_are_no_entries_of_their_own():
    text = bn_tb.render(_experiment())
    assert text.startswith("1 run: 1 stale; 1 more holds no statistics")
    assert "a/train with test" in text and "no-batch-norm" not in text
    assert "no-batch-norm" in bn_tb.render(_experiment(), view=View(verbose=True))


def test_a_report_of_warnings_says_why_it_does_not_fail():
    stale = made.stale()
    warnings = tuple(
        dataclasses.replace(one, severity=bn_tb.Severity.WARNING) for one in stale.findings
    )
    text = bn_tb.render([dataclasses.replace(stale, findings=warnings)])
    assert text.endswith("only errors fail; --fail_on=warning fails on warnings, too\n")
    assert "--fail_on" not in bn_tb.render([stale])


def test_a_flag_that_would_change_nothing_is_not_offered():
    ignored = dataclasses.replace(made.stale(), findings=())
    assert "--fail_on" not in bn_tb.render([ignored])
    (one,) = made.stale().findings
    warned = dataclasses.replace(
        made.stale(), findings=(dataclasses.replace(one, severity=bn_tb.Severity.WARNING),)
    )
    accepted = (bn_tb.Suppression("BN101", "known"),)
    assert "--fail_on" not in bn_tb.render(bn_tb.Report((warned,), suppressions=accepted))
