"""Many runs stay readable, and the setting to blame can be seen."""

import csv
import dataclasses
import io

import pytest

from bn_tb import analyze
from bn_tb.errors import UsageError
from bn_tb.reports import render
from bn_tb.reports.report import Report, View
from tests.builders import made_diagnoses as made


def with_settings(diagnosis, **settings):
    run = dataclasses.replace(diagnosis.subject.run, hyperparameters=settings)
    return dataclasses.replace(diagnosis, subject=dataclasses.replace(diagnosis.subject, run=run))


@pytest.fixture(scope="module")
def sweep():
    stale = [
        with_settings(made.stale(f"s{n}/train"), wiring="none", momentum=(0.9, 0.99)[n % 2])
        for n in range(40)
    ]
    healthy = [
        with_settings(made.healthy(f"h{n}/train"), wiring="deps", momentum=(0.9, 0.99)[n % 2])
        for n in range(20)
    ]
    return Report((*stale, *healthy, made.healthy("plain/train")))


def rows(report, **view):
    return list(csv.reader(io.StringIO(render(report, "csv", View(**view)))))


def test_equal_findings_are_told_once_with_what_their_runs_share(sweep):
    text = render(sweep, "text")
    assert "BN101  never-updated in 40 runs, all with wiring=none\n" in text
    assert len(text.splitlines()) < 120


def test_findings_of_a_sweep_of_twenty_are_told_together_and_those_of_ten_run_by_run(sweep):
    twenty = dataclasses.replace(sweep, runs=sweep.runs[30:50])
    assert "BN101  never-updated in 10 runs, all with wiring=none\n" in render(twenty, "text")
    ten = dataclasses.replace(sweep, runs=sweep.runs[35:45])
    assert "never-updated in" not in render(ten, "text")


def test_verdicts_are_counted_by_a_setting(sweep):
    assert rows(sweep, group_by="wiring") == [
        ["wiring", "stale", "healthy"],
        ["deps", "0", "20"],
        ["none", "40", "0"],
        ["(not given)", "0", "1"],
    ]
    table = [line.split() for line in render(sweep, "text", View(group_by="momentum")).split("\n")]
    assert ["0.9", "20", "10"] in table and ["0.99", "20", "10"] in table


def test_a_setting_that_no_run_has_is_refused_with_those_there_are(sweep):
    with pytest.raises(UsageError, match=r"no run says it.* momentum, wiring"):
        render(sweep, "text", View(group_by="lr"))


def test_csv_has_a_row_a_run_with_its_settings(sweep):
    head, first, *_, last = rows(sweep)
    assert head[-2:] == ["momentum", "wiring"]
    assert first[1:4] + first[-2:] == ["s0/train", "stale", "BN101", "0.9", "none"]
    assert last[1:3] + last[-2:] == ["plain/train", "healthy", "", ""]


def test_columns_choose_settings(sweep):
    assert rows(sweep, columns=("wiring",))[0][-2:] == ["last_step", "wiring"]
    assert "none" in render(sweep, "text", View(columns=("wiring", "lr"))).split()


@pytest.mark.parametrize("name", ["=cmd()", "@x", "+1+1", "-1+1|x"])
def test_no_name_becomes_a_formula_of_a_spreadsheet(name):
    report = Report((with_settings(made.healthy(name), lr=-0.5),))
    row = rows(report)[1]
    assert row[1] == f"'{name}" and row[-1] == "-0.5"


@pytest.mark.parametrize("flag", ["--columns=lr", "--group_by=lr"])
def test_they_belong_to_tables(flag, tmp_path):
    with pytest.raises(UsageError, match="go with --format=text or csv"):
        analyze.main([str(tmp_path), "--format=json", flag])
