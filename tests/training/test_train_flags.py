"""The flags of bn_tb.train: what they mean, and what is refused with one clear line."""

import subprocess
import sys

import pytest

from bn_tb.errors import UsageError
from bn_tb.training import flags as train_flags


def options(*argv):
    return train_flags.options(train_flags.parse(list(argv)))


@pytest.mark.parametrize(
    ("argv", "wiring"),
    [
        ((), "control_deps"),
        (("--nocontrol_deps",), "none"),
        (("--wiring=group",), "group"),
        (("--wiring=none", "--nocontrol_deps"), "none"),
        (("--wiring=control_deps", "--control_deps"), "control_deps"),
    ],
)
def test_control_deps_is_short_for_a_wiring(argv, wiring):
    assert options(*argv).wiring == wiring


def test_checkpoints_are_at_the_end_of_epochs_unless_a_flag_says_more():
    assert options().save_every is None
    assert options("--save_every=7").save_every == 7


@pytest.mark.parametrize("switch", ["--control_deps", "--nocontrol_deps"])
def test_contradicting_wirings_are_refused(switch):
    with pytest.raises(UsageError, match=f"--wiring=fetched contradicts {switch}"):
        options("--wiring=fetched", switch)


@pytest.mark.parametrize(
    ("argv", "scope"),
    [
        ((), "BN"),
        (("--nocontrol_deps",), "NoCD"),
        (("--nobatch_norm",), "vanilla"),
        (("--momentum=0.9",), "BN_momentum0.9"),
        (("--nocontrol_deps", "--momentum=0.999"), "NoCD_momentum0.999"),
        (("--wiring=group", "--activation=elu"), "BN_group_elu"),
        (("--nobatch_norm", "--momentum=0.9"), "vanilla"),
        (("--wiring=inference",), "BN_inference"),
        (("--momentum=0.9", "--name=mine"), "mine"),
    ],
)
def test_runs_are_named_after_what_differs(argv, scope):
    assert options(*argv).scope == scope


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--epohs=3", "Unknown command line flag 'epohs'. Did you mean: epochs"),
        ("--epochs=0", "--epochs=0: 0 is not a positive integer"),
        ("--epochs=many", "--epochs=many: invalid literal"),
        ("--steps_per_epoch=-1", "--steps_per_epoch=-1"),
        ("--batch_size=0", "--batch_size=0"),
        ("--histogram_every=0", "--histogram_every=0"),
        ("--seed=-1", "--seed=-1"),
        ("--momentum=1", "--momentum=1.0: must be at least 0 and below 1"),
        ("--momentum=nan", "--momentum=nan: must be at least 0 and below 1"),
        ("--learning_rate=0", "--learning_rate=0.0: must be above 0"),
        ("--activation=tanh", "--activation=tanh: value should be one of <relu|elu|selu>"),
        ("--wiring=magic", "--wiring=magic: value should be one of <control_deps|group|"),
        ("--name=../x", "--name=../x: must be letters, digits"),
        ("logs", "unexpected argument 'logs'"),
    ],
)
def test_a_bad_flag_is_one_line_that_says_what_to_do(argument, message):
    with pytest.raises(UsageError) as raised:
        train_flags.parse([argument])
    assert message in str(raised.value)
    assert "--help" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_help_shows_our_flags_with_their_defaults_and_no_others():
    text = train_flags.help_text()
    for shown in ("--[no]control_deps", "--momentum=NUMBER", "Default: 0.99.", "--overwrite"):
        assert shown in text
    for hidden in ("flagfile", "undefok", "logtostderr", "<relu|"):
        assert hidden not in text
    assert max(map(len, text.splitlines())) <= 100


def test_help_and_bad_flags_do_not_wait_for_tensorflow():
    code = (
        "import sys; from bn_tb import train; assert train.main(['--help']) == 0; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
