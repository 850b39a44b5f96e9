"""Names of layers and runs, shortened by the scopes that all of them share."""

import itertools
from collections.abc import Sequence


def by_difference(names: Sequence[str], ellipsis: str = "...") -> list[str]:
    """Returns names without the scopes at both ends that all share.

    `a/conv0/bn`, `a/conv1/bn` is `.../conv0/...`, `.../conv1/...`. Names of which nothing would be
    left stay as they are.
    """
    parts = [name.split("/") for name in names]
    head = _shared(parts)
    tail = _shared([part[head:][::-1] for part in parts])
    if len(names) < 2 or any(len(part) == head + tail for part in parts):
        return list(names)
    before, after = [ellipsis] * bool(head), [ellipsis] * bool(tail)
    return ["/".join([*before, *part[head : len(part) - tail], *after]) for part in parts]


def _shared(parts: Sequence[Sequence[str]]) -> int:
    """Returns how many components all lists begin with."""
    columns = zip(*parts, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))
