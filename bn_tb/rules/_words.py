"""How rules put names and numbers into sentences."""

from collections.abc import Sequence

from bn_tb.runs.names import by_difference
from bn_tb.runs.series import IntArray

NAMED = 3
LONGEST_NAME = 80


def layers_in_words(names: Sequence[str]) -> str:
    """Returns `layer a`, `2 layers (a, b)` or `53 layers (a, b, c and 50 more)`."""
    if len(names) == 1:
        return f"layer {shortened(names[0])}"
    named = names[:NAMED]
    if sum(map(len, named)) > LONGEST_NAME:
        named = [named[0], *by_difference(named)[1:]]
    shown = ", ".join(map(shortened, named))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} layers ({shown}{more})"


def count(number: float, noun: str) -> str:
    """Returns `1 step` or `2 steps` for a noun in the singular."""
    return f"{number:.0f} {noun}{'' if round(number) == 1 else 's'}"


def span(steps: IntArray) -> str:
    """Returns `step 7` or `steps 1 to 7` of steps that increase, int64 `[T]`, T >= 1."""
    first, last = int(steps[0]), int(steps[-1])
    return f"step {last}" if first == last else f"steps {first} to {last}"


def shortened(name: str) -> str:
    """Returns a name of bounded length; names come from files of unknown origin."""
    name = name or "(unnamed)"
    if len(name) <= LONGEST_NAME:
        return name
    half = LONGEST_NAME // 2 - 1
    return f"{name[:half]}...{name[-half:]}"


def percent(share: float) -> str:
    """Returns a share in [0, 1] as percent with the digits that matter: `61 %`, `0.3 %`."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.{1 if value < 1 else 2}g} %"
