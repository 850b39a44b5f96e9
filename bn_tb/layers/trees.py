"""Statistics and weights that are logged below two roots: Haiku's `state/` and `params/`."""

from collections.abc import Iterable, Mapping

from bn_tb.runs.tags import STATISTICS, ParsedTag, Role

_PARAMETERS = (Role.GAMMA, Role.BETA, Role.WEIGHT)


def join_trees(named: dict[str, list[ParsedTag]]) -> None:
    """Moves the weights of each layer to its statistics where these have another root, in place.

    Below the root of the statistics there is no weight, and below that of the weights (which may be
    none) no statistic: two models side by side are never taken for one.

    Args:
      named: Tags by the name of their layer.
    """
    moving, trained = _having(named, STATISTICS), _having(named, _PARAMETERS)
    without_weights = set(moving.values()) - set(trained.values())
    without_statistics = set(trained.values()) - set(moving.values())
    parted = [name for name, root in trained.items() if root in without_statistics]
    if not parted:
        return
    owners = _by_rest(name for name, root in moving.items() if root in without_weights)
    below, whole = _by_rest(parted), {name.replace(".", "/"): [name] for name in parted}
    for rest, names in owners.items():
        found = below.get(rest, []) or whole.get(rest, [])
        if len(names) == len(found) == 1:
            named[names[0]] += named.pop(found[0])


def _by_rest(names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the names by what is left of them without their roots."""
    found: dict[str, list[str]] = {}
    for name in names:
        rest = name.replace(".", "/").partition("/")[2]
        if rest:
            found.setdefault(rest, []).append(name)
    return found


def _having(named: Mapping[str, list[ParsedTag]], roles: tuple[Role, ...]) -> dict[str, str]:
    """Returns the layers that have a tag of some roles, each with its root."""
    return {
        name: name.replace(".", "/").partition("/")[0]
        for name, tags in named.items()
        if any(parsed.role in roles for parsed in tags)
    }
