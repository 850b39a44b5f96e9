"""Configuration files: what is found, checked and overruled."""

import json
import pathlib

import pytest

from bn_tb import UsageError, analyze, settings
from bn_tb.gates import baseline
from bn_tb.rules.verdict import Severity
from tests.builders import written_logs as logs


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def configured(tmp_path, text, name="bn_tb.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return settings.load(path)


def test_every_key_is_understood(tmp_path):
    loaded = configured(
        tmp_path,
        """
        fail_on = "warning"
        select = ["bn1", "BN201"]
        ignore = ["BN202"]
        frozen = ["backbone/*"]
        baseline = "known.json"
        momentum = 0.99
        updates_per_step = 4
        mean_tag = ["(.*)/mu"]
        variance_tag = ["(.*)/var"]
        [limits.BN201]
        lagging = 0.1
        [[suppress]]
        code = "BN101"
        layer = "gan/*"
        run = "*/train"
        reason = "evaluated in training mode"
        """,
    )
    assert loaded.select == ("BN1", "BN201")
    assert loaded.baseline == str(tmp_path / "known.json")
    assert loaded.options().limits == {"BN201": {"lagging": 0.1}}
    assert loaded.patterns().mean[0].fullmatch("a/mu")
    assert loaded.suppress[0].reason == "evaluated in training mode"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fail-on = 'error'", "unknown key 'fail-on'; did you mean 'fail_on'?"),
        ("fail_on = 'fatal'", "fail_on: want error, warning, info or never, got 'fatal'"),
        ("select = 'BN1'", "select: want a list of strings, got 'BN1'"),
        ("select = [1]", "select: want a list of strings"),
        ("ignore = ['BN7']", "ignore: no code starts with 'BN7'"),
        ("momentum = 1.0", "momentum: want the weight of the old value"),
        ("momentum = true", "momentum: want a number, got True"),
        ("updates_per_step = 0", "updates_per_step: want a number above 0"),
        ("updates_per_step = inf", "updates_per_step: want a finite number, got inf"),
        ("[limits.BN201]\nlagging = nan", "limits.BN201.lagging: want a finite number, got nan"),
        ("[limits.BN201]\nlagging = -inf", "lagging: want a finite number, got -inf"),
        (f"[limits.BN201]\nlagging = 1{'0' * 400}", "lagging: want a finite number, got 1000"),
        (f"momentum = 0x{'f' * 9999}", "finite number, got an integer of thousands of digits"),
        (f"momentum = 1{'0' * 9999}", "not valid TOML: Exceeds the limit"),
        (f"select = {'[' * 9999}", "not valid TOML: nested too deeply"),
        (f"select = ['{'x' * 9999}']", "select: no code starts with 'XXX"),
        (f"{'x' * 9999} = 1", "unknown key 'xxx"),
        ("mean_tag = ['a{99999999999}']", "'a{99999999999}' is no regular expression"),
        (f"mean_tag = ['{'(' * 9999}']", "is no regular expression"),
        ('baseline = "a\\u0000b"', "baseline: want a path"),
        ("[[suppress]]\ncode = []\nreason = 'x'", "suppress[0].code: want a string, got []"),
        ("[[suppress]]\ncode = 'BN101'\nreason = 'x'\nrun = 3", "suppress[0].run: want a string"),
        ("mean_tag = ['(']", "mean_tag: '(' is no regular expression"),
        ("[limits.BN999]\nx = 1", "limits: unknown code 'BN999'"),
        ("[limits.BN201]\nlaging = 1", "limits.BN201: unknown limit 'laging'; did you mean"),
        ("[limits.BN201]\nlagging = 'x'", "limits.BN201.lagging: want a number"),
        ("limits = 3", "limits: want a table"),
        ("[[suppress]]\ncode = 'BN101'", "suppress[0]: reason is missing"),
        ("[[suppress]]\ncode = 'BN101'\nreason = ' '", "suppress[0]: reason is missing"),
        ("[[suppress]]\nreason = 'x'", "suppress[0]: code is missing"),
        ("[[suppress]]\ncode = 'BN1'\nreason = 'x'", "suppress[0].code: unknown code 'BN1'"),
        ("[[suppress]]\ncodes = 'BN101'", "unknown key 'codes'; did you mean 'code'?"),
        ("suppress = 'BN101'", "suppress: want a list"),
        ("select = [", "not valid TOML"),
    ],
)
def test_error_names_file_key_and_what_is_wanted(tmp_path, text, message):
    with pytest.raises(UsageError) as caught:
        configured(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "bn_tb.toml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


BASELINE = {"run": "a", "code": "BN101", "layers": ["bn"], "fingerprint": "f"}


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        (3, "findings: want a list, got 3"),
        ([[]], "findings[0]: want a table, got []"),
        ([{**BASELINE, "run": None}], "findings[0].run: want a string, got None"),
        ([BASELINE, {**BASELINE, "layers": "bn"}], "findings[1].layers: want a list of strings"),
        ([{**BASELINE, "layers": [[1], {}]}], "findings[0].layers: want a list of strings"),
    ],
)
def test_error_in_a_baseline_names_the_entry_and_what_to_do(tmp_path, findings, message):
    path = tmp_path / "known.json"
    path.write_text(json.dumps({"bn_tb_baseline": 1, "findings": findings}))
    with pytest.raises(UsageError, match="delete it and write it again") as caught:
        baseline.load(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 99_999, "3", "{}", '{"bn_tb_baseline": 2}', "\x00", ""])
def test_file_that_is_no_baseline_is_said_in_one_line(tmp_path, text):
    path = tmp_path / "known.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a baseline of bn_tb") as caught:
        baseline.load(str(path))
    assert "\n" not in str(caught.value)


def test_file_without_end_is_not_read_to_its_end():
    with pytest.raises(UsageError, match="longer than 64 MB"):
        baseline.load("/dev/zero")
    with pytest.raises(UsageError, match="longer than 64 MB"):
        settings.load(pathlib.Path("/dev/zero"))


def test_working_folder_that_is_gone_is_said(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UsageError, match="the working folder is gone"):
        analyze.main(["logs"])


def test_pyproject_counts_only_with_a_table_of_ours(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    inner = tmp_path / "package"
    inner.mkdir()
    assert settings.find_file(inner) is None
    (tmp_path / "pyproject.toml").write_text("[tool.bn_tb]\nfail_on = 'never'\n")
    assert settings.find_file(inner) == tmp_path / "pyproject.toml"
    assert settings.load(tmp_path / "pyproject.toml").fail_on == "never"


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\nbn_tb = 3"])
def test_pyproject_of_another_shape_is_no_traceback(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    if settings.find_file(tmp_path):
        with pytest.raises(UsageError, match="want a table, got 3"):
            settings.load(tmp_path / "pyproject.toml")


def test_bn_tb_toml_goes_before_pyproject_and_near_before_far(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.bn_tb]\n")
    (tmp_path / "bn_tb.toml").write_text("")
    inner = tmp_path / "package"
    inner.mkdir()
    assert settings.find_file(inner) == tmp_path / "bn_tb.toml"
    (inner / "pyproject.toml").write_text("[tool.bn_tb]\n")
    assert settings.find_file(inner) == inner / "pyproject.toml"


def test_flags_go_over_the_file_and_the_file_over_defaults(tmp_path):
    logs.stale(tmp_path / "logs")
    assert analyze.main(["logs"]) == 1
    (tmp_path / "bn_tb.toml").write_text("fail_on = 'never'")
    assert analyze.main(["logs"]) == 0
    assert analyze.main(["logs", "--fail_on=error"]) == 1


def test_config_flag_names_another_file(tmp_path):
    logs.stale(tmp_path / "logs")
    (tmp_path / "ci.toml").write_text("ignore = ['BN101']")
    assert analyze.main(["logs", "--config=ci.toml"]) == 0


def test_limits_change_what_a_rule_says(tmp_path):
    logs.lagging(tmp_path / "logs")
    told = ["logs", "--momentum=0.999"]
    assert analyze.main(told) == 1
    (tmp_path / "bn_tb.toml").write_text("[limits.BN201]\nlagging = 0.97\nstale = 0.98\n")
    assert analyze.main(told) == 0


SUPPRESS = """
[[suppress]]
code = "BN101"
layer = "{layer}"
reason = "evaluated in training mode"
"""


def test_suppressed_finding_passes_and_is_shown_with_its_reason(tmp_path, capsys):
    logs.stale(tmp_path / "logs")
    (tmp_path / "bn_tb.toml").write_text(SUPPRESS.format(layer="bn*"))
    assert analyze.main(["logs"]) == 0
    text = capsys.readouterr().out
    assert "1 finding suppressed" in text
    assert "never updated" not in text
    analyze.main(["logs", "--format=json"])
    finding = json.loads(capsys.readouterr().out)["runs"][0]["findings"][0]
    assert finding["suppressed"] == "evaluated in training mode"


def test_suppression_of_some_layers_leaves_the_finding(tmp_path, capsys):
    logs.stale(tmp_path / "logs")
    (tmp_path / "bn_tb.toml").write_text(SUPPRESS.format(layer="bn1"))
    assert analyze.main(["logs"]) == 1
    both = SUPPRESS.format(layer="bn1") + SUPPRESS.format(layer="bn2")
    (tmp_path / "bn_tb.toml").write_text(both)
    assert analyze.main(["logs"]) == 0


def test_unused_suppression_is_said_on_stderr(tmp_path, capsys):
    logs.healthy(tmp_path / "logs")
    (tmp_path / "bn_tb.toml").write_text(SUPPRESS.format(layer="bn*"))
    assert analyze.main(["logs"]) == 0
    assert capsys.readouterr().err == (
        "bn_tb: unused suppression: BN101 layer 'bn*' run '*' (evaluated in training mode); "
        "nothing needs it any more\n"
    )


def test_never_is_no_threshold():
    assert settings.Settings(fail_on="never").gate().fail_on is None
    assert settings.Settings().gate().fail_on is Severity.ERROR
