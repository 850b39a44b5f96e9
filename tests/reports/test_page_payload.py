"""What the page is told of a diagnosis, without a browser."""

import base64
import dataclasses
import gzip
import json
import re

import numpy as np
import pytest

import bn_tb
from bn_tb.evidence.clock import Clock
from bn_tb.evidence.lag import Lag
from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring, Wiring
from bn_tb.reports import html, json_report
from bn_tb.reports.page import chart_points, front_end, manual, payload, wiring
from bn_tb.reports.report import Report, View
from bn_tb.rules import ALL_RULES
from bn_tb.runs.tags import Role
from tests.builders import page_cases
from tests.builders.written_checkpoints import saved_checkpoint


def chart(diagnosis, kind="mean"):
    layer = payload.layer(diagnosis, diagnosis.layers[0].layer)
    (statistic,) = [one for one in layer["statistics"] if one["kind"] == kind]
    return layer, statistic


def test_a_constant_series_is_drawn_with_two_points():
    values = np.zeros(1000)
    assert chart_points.thin(values, values, 100).tolist() == [0, 999]


def test_thinning_keeps_the_ends_the_extremes_and_the_ends_of_a_plateau():
    values = np.sin(np.arange(10_000) / 300)
    values[4_000:6_000] = 0.5
    values[7_777] = 9
    values[8_888] = -9
    kept = chart_points.thin(values, values, 200)
    assert len(kept) <= 200
    assert {0, 9_999, 7_777, 8_888} <= set(kept.tolist())
    plateau = kept[(kept >= 4_000) & (kept < 6_000)]
    assert len(plateau) <= 2


def test_thinning_leaves_a_gap_where_nothing_is_finite():
    values = np.full(1_000, np.nan)
    assert chart_points.numbers(values[chart_points.thin(values, values, 10)]) == [None, None]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1 / 3, 0.33333), (123456.0, 123460.0), (0.0, 0.0), (np.nan, None), (np.inf, None)],
)
def test_numbers_have_five_digits_and_only_finite_ones_are_numbers(value, shown):
    assert chart_points.numbers([value]) == [shown]


def test_a_stale_layer_is_stuck_while_its_momentum_would_have_forgotten_the_initial_value():
    layer, mean = chart(page_cases.diagnosis("stale"))
    assert mean["predicted"] is None
    assert layer["share"]["stuck"] is True
    assert layer["share"]["predicted"][-1] == pytest.approx(0.99**500, rel=1e-3)
    assert layer["wiring"]["state"] == "none"


def test_a_lagging_layer_is_shown_on_its_way():
    layer, variance = chart(page_cases.diagnosis("lagging"), "variance")
    assert layer["share"]["predicted"][-1] == pytest.approx(0.999**500, rel=1e-3)
    low, high = variance["predicted"]["low"], variance["predicted"]["high"]
    assert low[0] == high[0] == variance["initial"] == 1
    assert high[-1] == pytest.approx(variance["bands"][6][-1], rel=1e-3)
    assert variance["predicted"]["target"][1] > high[-1]


@pytest.mark.parametrize(
    ("verdict", "stretch"),
    [
        ("healthy", {"from": 0, "to": 99}),
        ("stale", {"from": 0, "to": None}),
        ("lagging", {"from": 0, "to": None}),
    ],
)
def test_the_stretch_that_cannot_be_trusted_ends_where_the_last_layer_is_warm(verdict, stretch):
    assert payload.untrusted(page_cases.diagnosis(verdict)) == stretch


def test_a_run_without_layers_has_no_such_stretch():
    assert payload.untrusted(page_cases.bare("no-batch-norm", "train")) is None


def test_training_and_evaluation_are_two_curves_of_one_chart():
    report = Report((page_cases.diagnosis("healthy"),))
    run = payload.run(json_report.document(report)["runs"][0], report.runs[0])
    (accuracy,) = run["metrics"]
    assert accuracy["metric"] == "accuracy"
    assert [curve["evaluates"] for curve in accuracy["curves"]] == [False, True]


@pytest.mark.parametrize(
    ("verdict", "stuck", "end"),
    [("healthy", False, 0.97**500), ("lagging", False, 0.999**500), ("stale", True, 0.99**500)],
)
def test_a_row_has_the_share_of_the_initial_value_as_a_small_picture(verdict, stuck, end):
    picture = payload.overview(page_cases.diagnosis(verdict))["picture"]
    assert picture["stuck"] is stuck
    assert picture["left"][0] == 1
    assert picture["left"][-1] == pytest.approx(end, rel=1e-3)
    assert len(picture["left"]) == payload.SPARK_POINTS


def test_of_small_variances_more_is_left_in_evaluation_than_the_weight_of_the_initial_value():
    diagnosis = page_cases.diagnosis("lagging", layers=1)
    small = dataclasses.replace(diagnosis.layers[0], initial_weight=0.99**500, momentum=0.99)
    subject = dataclasses.replace(diagnosis.subject, lags=(Lag(share=0.63),))
    diagnosis = dataclasses.replace(diagnosis, layers=(small,), subject=subject)
    entry = json_report.document(Report((diagnosis,)))["runs"][0]
    left, _ = chart(diagnosis)
    for end in (
        payload.run(entry, diagnosis)["layers"][0]["left"],
        payload.overview(diagnosis)["picture"]["left"][-1],
        left["share"]["predicted"][-1],
    ):
        assert end == pytest.approx(0.63, rel=1e-3)
    assert left["share"]["predicted"][0] == 1


@pytest.mark.parametrize("verdict", ["suspect", "broken", "frozen"])
def test_a_row_has_a_statistic_instead_where_the_share_would_be_a_guess(verdict):
    picture = payload.overview(page_cases.diagnosis(verdict))["picture"]
    assert picture["spark"]["values"][0] == 1  # the moving variance


def test_a_row_has_the_last_metrics_and_each_kind_of_finding_once():
    diagnosis = page_cases.diagnosis("stale")
    twice = dataclasses.replace(diagnosis, findings=diagnosis.findings * 2)
    row = payload.overview(twice)
    assert row["metric"] == {"metric": "accuracy", "training": 0.97996, "evaluation": 0.1}
    assert row["findings"] == [{"code": "BN101", "name": "never-updated", "severity": "error"}]
    bare = payload.overview(page_cases.bare("no-batch-norm", "test"))
    assert (bare["picture"], bare["metric"], bare["beside"]) == (None, None, None)


def test_an_unknown_layer_is_an_error():
    with pytest.raises(KeyError):
        payload.layer(page_cases.diagnosis("healthy"), "conv99/bn")


@pytest.mark.parametrize(
    ("how", "trains", "state"),
    [
        (Wiring.TRAIN, True, "train"),
        (Wiring.NONE, True, "none"),
        (Wiring.LOSS, True, "loss"),
        (Wiring.OTHER_MODEL, True, "other_model"),
        (Wiring.NONE, False, "no_training"),
    ],
)
def test_the_picture_of_the_graph_tells_how_the_updates_are_wired(how, trains, state):
    layer = page_cases.wiring("bn", how)
    picture = wiring.picture(layer, GraphEvidence(trains, ("train/Adam",)))
    assert picture["state"] == state
    assert [row["role"] for row in picture["rows"]] == ["moving_mean", "moving_variance"]


def test_a_keras_configuration_has_no_ops_to_draw():
    layer = LayerWiring("bn", {}, {}, momentum=0.9, keras=True, momentum_source="keras_config")
    assert wiring.picture(layer, GraphEvidence()) is None


def test_epochs_count_as_the_updates_they_stand_for():
    """Keras writes epoch 0 after it, here after 10 updates."""
    diagnosis = page_cases.diagnosis("healthy")
    clock = Clock(updates_per_step=10.0, at_zero=10.0, unit="epoch")
    subject = dataclasses.replace(diagnosis.subject, clock=clock)
    layer, mean = chart(dataclasses.replace(diagnosis, subject=subject))
    assert layer["share"]["predicted"][0] == pytest.approx(0.97**10, rel=1e-3)
    assert mean["predicted"]["high"][0] > 0


def test_layers_of_a_log_of_epochs_say_so():
    epochs = page_cases.diagnosis("healthy")
    epochs = dataclasses.replace(
        epochs, subject=dataclasses.replace(epochs.subject, clock=Clock(10, 10, "epoch"))
    )
    (entry,) = json_report.document(Report((epochs,)))["runs"]
    assert {layer["unit"] for layer in payload.run(entry, epochs)["layers"]} == {"epoch"}


def test_half_a_layer_is_partly_wired():
    layer = page_cases.wiring("bn")
    idle = page_cases.wiring("bn", Wiring.NONE)
    updates = dict(layer.updates) | {Role.MOVING_MEAN: idle.updates[Role.MOVING_MEAN]}
    half = dataclasses.replace(layer, updates=updates)
    assert wiring.picture(half, GraphEvidence(True))["state"] == "partly"


def test_without_a_graph_there_is_no_picture():
    assert wiring.picture(None, None) is None


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_every_manual_page_becomes_elements_that_the_page_knows(rule):
    text = front_end.text("findings.js")
    known = set(re.search(r"ALLOWED = new Set\(\[(.*?)\]\)", text)[1].replace("'", "").split(", "))

    def tags(nodes):
        for node in nodes:
            if isinstance(node, dict):
                yield node["tag"]
                yield from tags(node["children"])

    assert set(tags(manual.page(rule.manual))) <= known


def test_html_in_a_manual_page_stays_text():
    assert manual.page("a <b>b</b>") == [{"tag": "p", "children": ["a <b>b</b>"]}]


def test_addresses_in_a_manual_page_become_links():
    (paragraph,) = manual.page("see https://a.b/c.")
    link = {"tag": "a", "href": "https://a.b/c", "children": ["https://a.b/c"]}
    assert paragraph["children"] == ["see ", link, "."]


def test_each_module_imports_only_modules_before_it():
    """So that the HTML report can put them into one script."""
    for at, name in enumerate(front_end.MODULES):
        imported = set(re.findall(r"from '\./(.+?)';", front_end.text(name)))
        assert imported <= set(front_end.MODULES[:at])


def explained(verdict, **how):
    diagnosis = page_cases.diagnosis(verdict, **how)
    entry = json_report.document(Report((diagnosis,)))["runs"][0]
    return payload.run(entry, diagnosis)["explained"]


def test_a_finding_is_explained_by_a_missing_edge_or_else_by_the_share_left():
    stale, lagging = explained("stale"), explained("lagging")
    assert stale["wiring"]["state"] == "none"
    assert lagging["wiring"] is None
    assert explained("healthy") is None


def test_exported_names_are_distinct_over_all_modules():
    names = [
        name
        for module in front_end.MODULES
        for name in re.findall(r"^export (?:function|const) (\w+)", front_end.text(module), re.M)
    ]
    assert len(names) == len(set(names))


def test_the_page_never_makes_markup_out_of_text():
    for name in (*front_end.MODULES, "report.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function",
            front_end.text(name),
        )


def page_of(*diagnoses):
    return html.render(Report(diagnoses), View())


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def points(data, run):
    packed = data["layers"][run]["conv0/bn"]
    return len(json.loads(gzip.decompress(base64.b64decode(packed)))["statistics"][0]["steps"])


def test_data_cannot_end_their_script():
    text = page_of(page_cases.bare("no-batch-norm", "</script><script>alert(1)</script>&\u2028"))
    data = re.search(r'id="data">(.*?)</script>', text, re.S)[1]
    assert not re.search("[<>&\u2028]", data)
    assert json.loads(data)["overview"]["runs"][0]["run"].startswith("</script>")


def test_the_report_refers_to_nothing_outside_itself():
    text = page_of(page_cases.diagnosis("healthy"))
    assert not re.search(r'(?:src|href)="', text)
    assert "default-src 'none'" in text
    assert not re.search(r"url\((?!#)", text)


def test_a_report_of_many_layers_gets_coarser_and_then_leaves_charts_of_the_better_runs_out(
    monkeypatch,
):
    healthy = page_cases.diagnosis("healthy", "good", layers=30)
    lagging = page_cases.diagnosis("lagging", "bad", layers=15)
    monkeypatch.setattr(html, "BUDGET", 90_000)
    data = data_of(page_of(healthy, lagging))
    assert len(data["layers"]["bad"]) == 15
    assert 0 < len(data["layers"]["good"]) < 30
    assert points(data, "bad") <= html.FEWEST_POINTS


def test_runs_of_one_name_in_two_logdirs_are_told_apart():
    one, other = page_cases.diagnosis("stale"), page_cases.diagnosis("healthy")
    run = dataclasses.replace(other.subject.run, logdir="other")
    other = dataclasses.replace(other, subject=dataclasses.replace(other.subject, run=run))
    data = data_of(page_of(one, other))
    assert set(data["runs"]) == {"logs/train", "other/train"}
    assert data["runs"]["other/train"]["verdict"] == "healthy"


def test_points_of_checkpoints_are_told_with_their_files(tmp_path):
    for step in (100, 200):
        saved_checkpoint(tmp_path, step)
    (diagnosis,) = bn_tb.diagnose(tmp_path)
    _, mean = chart(diagnosis)
    assert mean["checkpoints"] == {
        "steps": [100, 200],
        "values": [100.0, 200.0],
        "files": ["net-100.safetensors", "net-200.safetensors"],
    }


def test_points_of_event_files_are_no_checkpoints():
    _, mean = chart(page_cases.diagnosis("healthy"))
    assert "checkpoints" not in mean


def test_healthy_runs_get_coarser_before_those_that_somebody_has_to_look_at(monkeypatch):
    monkeypatch.setattr(html, "BUDGET", 20 * (100 + html.FEWEST_POINTS) * html.BYTES_A_POINT)
    runs = (page_cases.diagnosis(verdict, verdict, layers=10) for verdict in ("healthy", "lagging"))
    data = data_of(page_of(*runs))
    assert points(data, "healthy") <= html.FEWEST_POINTS < 45 < points(data, "lagging") <= 100


def test_a_report_of_300_runs_is_at_most_5_megabytes():
    verdicts = ("healthy", "stale", "healthy", "lagging")
    made = [page_cases.diagnosis(verdict, layers=5) for verdict in verdicts]
    runs = (
        dataclasses.replace(
            one,
            subject=dataclasses.replace(
                one.subject, run=dataclasses.replace(one.subject.run, name=f"lr_{i}/train")
            ),
        )
        for i, one in enumerate(made * 75)
    )
    assert len(page_of(*runs)) <= 5_000_000
