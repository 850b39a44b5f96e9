"""Configuration files: what is found, checked and overruled."""

import json

import pytest

from bn_tb import UsageError, analyze, settings
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
        ("updates_per_step = inf", "updates_per_step: want a number above 0"),
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
