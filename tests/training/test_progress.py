"""What somebody sees who waits for a training."""

import io

import pytest
import rich.console

from bn_tb.training import progress

STEPS = 1500


class Clock:
    """Seconds that pass when a test says so."""

    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def lines_of(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def plain(clock):
    return progress.told(STEPS, rich.console.Console(file=io.StringIO()), clock)


def test_a_log_gets_a_line_before_tensorflow_starts_and_one_after_the_first_step(clock, capsys):
    with plain(clock) as stepped:
        assert lines_of(capsys) == ["bn_tb: starting TensorFlow ..."]
        stepped()
        assert lines_of(capsys) == ["bn_tb: step 1 of 1,500"]


def test_a_log_then_gets_a_line_only_when_its_reader_would_wonder(clock, capsys):
    with plain(clock) as stepped:
        stepped()
        lines_of(capsys)
        for _ in range(999):
            stepped()
        clock.seconds = progress.PATIENCE - 0.01
        stepped()
        assert lines_of(capsys) == []
        clock.seconds = progress.PATIENCE
        stepped()
        assert lines_of(capsys) == ["bn_tb: step 1,002 of 1,500"]


def test_a_terminal_shows_a_bar_from_before_the_first_step_and_nothing_of_it_stays(capsys):
    screen = io.StringIO()
    with progress.told(STEPS, rich.console.Console(file=screen, force_terminal=True)) as stepped:
        assert "starting TensorFlow" in screen.getvalue()
        stepped()
    shown = screen.getvalue()
    assert "step 1 of 1,500" in shown
    assert shown.endswith("\x1b[1A\x1b[2K")  # the line before, erased
    assert lines_of(capsys) == []
