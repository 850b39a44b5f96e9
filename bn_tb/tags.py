"""The names under which statistics and weights are logged; only this file knows them."""

import dataclasses
import enum
import re


class Role(enum.Enum):
    """What a tag stands for in its layer."""

    MOVING_MEAN = "moving_mean"
    MOVING_VARIANCE = "moving_variance"
    GAMMA = "gamma"
    BETA = "beta"
    WEIGHT = "weight"
    UPDATE_COUNT = "update_count"


STATISTICS = (Role.MOVING_MEAN, Role.MOVING_VARIANCE)


@dataclasses.dataclass(frozen=True)
class ParsedTag:
    """How a tag was understood.

    Attributes:
      tag: The tag as written.
      layer: The layer's name: the tag without role and writer suffixes; may be empty.
      role: What the tag stands for.
      reason: The pattern that matched, for `--show_tags`.
    """

    tag: str
    layer: str
    role: Role
    reason: str


@dataclasses.dataclass(frozen=True)
class TagPatterns:
    """Additional names for statistics, taught by the user.

    Attributes:
      mean: Regular expressions searched in the tag; group 1, if any, is the layer.
      variance: The same for moving variances.
    """

    mean: tuple[re.Pattern[str], ...] = ()
    variance: tuple[re.Pattern[str], ...] = ()


def parse_tag(tag: str, patterns: TagPatterns = TagPatterns()) -> ParsedTag | None:
    """Returns how a histogram or scalar tag is understood, or None for tags of no interest."""
    raise NotImplementedError
