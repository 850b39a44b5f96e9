"""How prose breaks into lines on a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bn_tb.reports.prose import wrap


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("", [""], id="nothing is one empty line"),
        pytest.param("a bc def", ["a bc", "def"], id="breaks at spaces"),
        pytest.param("see ab/cd", ["see", "ab/cd"], id="a name that fits a line stays whole"),
        pytest.param("x ab/cd/ef gh", ["x ab/", "cd/ef", "gh"], id="a longer one fills its line"),
        pytest.param("/ab/cdefghij/k", ["/ab/", "cdefgh", "ij/k"], id="a part too long breaks"),
        pytest.param("\u6f22" * 4, ["\u6f22" * 3, "\u6f22"], id="wide characters count twice"),
    ],
)
def test_prose_breaks(text, lines):
    assert wrap(text, 6) == lines


@given(st.text("ab/ \u6f22"), st.integers(2, 12))
def test_lines_fit_and_lose_nothing_but_spaces(text, width):
    lines = wrap(text, width)
    assert all(cell_len(line.strip(" ")) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
