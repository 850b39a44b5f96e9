"""What a user may say about the logs."""

import dataclasses
import fnmatch
from collections.abc import Mapping

from bn_tb.layers import BatchNormLayer
from bn_tb.rules.rule import Rule
from bn_tb.runs.tags import TagPatterns


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may say about the logs.

    Attributes:
      select: Codes or prefixes to report; empty for all.
      ignore: Codes or prefixes not to report.
      momentum: Weight of the old value per update where logs do not say it.
      updates_per_step: Updates of the statistics per logged step where logs do not say it.
      frozen: Shell patterns of layers that are frozen on purpose.
      limits: Overrides of rule limits, `{"BN201": {"lagging": 0.1}}`.
      patterns: Names of statistics taught by the user, those that the logdir was read with.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    momentum: float | None = None
    updates_per_step: float | None = None
    frozen: tuple[str, ...] = ()
    limits: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    patterns: TagPatterns = TagPatterns()

    def limits_of(self, rule: Rule) -> dict[str, float]:
        """Returns the limits of a rule by name, those of the user first."""
        limits = {name: limit.value for name, limit in rule.limits.items()}
        return limits | dict(self.limits.get(rule.code, {}))

    def freezes(self, layer: BatchNormLayer) -> bool:
        """Returns whether a layer is frozen on purpose."""
        return any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in self.frozen)

    def reports(self, code: str) -> bool:
        """Returns whether findings of a code are wanted."""
        selected = not self.select or code.startswith(self.select)
        return selected and not self.ignores(code)

    def ignores(self, code: str) -> bool:
        """Returns whether findings of a code are expressly not wanted."""
        return bool(self.ignore) and code.startswith(self.ignore)
