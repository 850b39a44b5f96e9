"""What users write, drawn at random: a status of the manual and one line, never a traceback."""

import contextlib
import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bn_tb
from bn_tb import UsageError, analyze
from bn_tb import settings as configuration
from bn_tb.command import flags, means
from bn_tb.gates import baseline
from bn_tb.rules import ALL_RULES
from tests.builders import written_logs as logs

KEYS = [*configuration.Settings.__dataclass_fields__]
LIMITS = [(rule.code, name) for rule in ALL_RULES for name in rule.limits]
WORDS = ["BN101", "bn2", "*", "", "logs", "(", "[z-a]", "a{99999999999}", "\0", "\udcff", "never"]

words = st.one_of(st.sampled_from(WORDS), st.text(max_size=8))
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, 0.5]))
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)
suppression = st.dictionaries(st.sampled_from(["code", "reason", "layer", "run", "x"]), plain)
limits = st.dictionaries(
    st.sampled_from([rule.code for rule in ALL_RULES]),
    st.dictionaries(st.sampled_from([name for _, name in LIMITS]), plain, max_size=2),
    max_size=2,
)
values = st.one_of(plain, st.lists(words, max_size=3), st.lists(suppression, max_size=2), limits)


def refused(call, *arguments):
    """Returns whether a call refuses what it is given, in one short line."""
    try:
        call(*arguments)
    except UsageError as error:
        assert str(error).strip()
        assert "\n" not in str(error)
        return True
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("written")


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, "x"]), values, max_size=3))
def test_any_settings_are_taken_or_refused(table):
    def use():
        taken = configuration.settled(configuration.Settings(), table, "bn_tb.toml")
        taken.options()
        taken.patterns()
        taken.gate(update=True)

    refused(use)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.text("[]{}='\"ab.1\n", max_size=40).map(str.encode)))
def test_any_bytes_are_taken_or_refused_as_configuration_and_baseline(folder, data):
    path = folder / "pyproject.toml"
    path.write_bytes(data)
    refused(configuration.find_file, path.parent)
    refused(configuration.load, path)
    assert refused(baseline.load, str(path))


entries = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("run", "code", "layers", "fingerprint"), values)
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(values, st.lists(st.one_of(entries, values), max_size=2)))
def test_any_findings_are_taken_or_refused_as_a_baseline(folder, findings):
    path = folder / "known.json"
    path.write_text(json.dumps({"bn_tb_baseline": 1, "findings": findings}))
    if not refused(baseline.load, str(path)):
        assert baseline.dump(baseline.load(str(path)))


NAMES = [flag.name for group in flags.GROUPS.values() for flag in group]
written = st.one_of(words, st.floats().map(str), st.just("9" * 400))
arguments = st.lists(
    st.one_of(
        st.builds("--{}={}".format, st.sampled_from(NAMES), written),
        st.sampled_from(["--flagfile=.", "--no", "--x", "--", "-", "--noverbose", "--diff"]),
        words,
    ),
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(arguments)
@example(["--scheduler=local:99999999999"])
def test_any_flags_are_taken_or_refused(given):
    def use():
        chosen, logdirs = flags.parse(given)
        flags.refuse_contradictions(chosen, logdirs)
        configuration.choose(chosen).patterns()
        means.choose(chosen, logdirs)

    refused(use)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for kind in (logs.stale, logs.broken, logs.healthy):
        kind(folder)
    return folder


@pytest.fixture(scope="module")
def runs(logdir):
    return tuple(bn_tb.read_logdir(logdir))


extreme = st.one_of(st.sampled_from([0.0, -0.0, 5e-324, -1.0, 1e308, -1e308]), st.floats(0, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LIMITS), extreme), min_size=1, max_size=8))
def test_any_finite_limits_judge(runs, overrides):
    chosen: dict[str, dict[str, float]] = {}
    for (code, name), limit in overrides:
        chosen.setdefault(code, {})[name] = limit
    taken = configuration.settled(configuration.Settings(), {"limits": chosen}, "bn_tb.toml")
    assert [run.problem for run in bn_tb.diagnose(runs, taken.options())] == [""] * len(runs)


harmless = st.sampled_from(
    [name for name in NAMES if name not in ("watch", "on_finding", "output", "scheduler", "cache")]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds("--{}={}".format, harmless, words), max_size=3))
def test_any_call_ends_with_a_status_of_the_manual(logdir, given):
    printed = io.StringIO()

    def use():
        with contextlib.redirect_stdout(printed):
            assert analyze.main([str(logdir), *given]) in (0, 1, 2, 3)

    assert refused(use) != bool(printed.getvalue())
