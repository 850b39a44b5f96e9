"""The manual pages of the rules."""

import difflib

from bn_tb.errors import UsageError
from bn_tb.rules import ALL_RULES


def rule_list() -> str:
    """Returns one line per rule: code, severity, name, and what it checks."""
    rows = [
        f"{rule.code}  {rule.severity.label:<8}{rule.name:<33}{_first_sentence(rule.manual)}"
        for rule in ALL_RULES
    ]
    return "\n".join([*rows, "", "bn_tb.analyze --explain=CODE prints a manual page.", ""])


def rule_page(code: str) -> str:
    """Returns the manual page of a rule, with its limits.

    Args:
      code: Code or name, such as `BN101` or `never-updated`, in any case.

    Raises:
      UsageError: There is no such rule.
    """
    rules = {rule.code: rule for rule in ALL_RULES} | {rule.name: rule for rule in ALL_RULES}
    for key in (code.upper(), code.lower()):
        if key in rules:
            rule = rules[key]
            break
    else:
        close = difflib.get_close_matches(code.upper(), rules, n=1) or ["BN101"]
        raise UsageError(f"no rule {code!r}; did you mean {close[0]}? See --list_rules")
    limits = [
        f"- `limits.{rule.code}.{name} = {limit.value:g}` ({limit.unit}): {limit.origin}"
        for name, limit in rule.limits.items()
    ]
    page = [f"# {rule.code} {rule.name} ({rule.severity.label})", "", rule.manual.strip()]
    if limits:
        page += ["", "## Limits", "Change them in `[tool.bn_tb]` or bn_tb.toml.", *limits]
    return "\n".join([*page, ""])


def _first_sentence(manual: str) -> str:
    lines = [line for line in manual.strip().splitlines() if line and not line.startswith("#")]
    return " ".join(lines).split(". ")[0].strip().rstrip(".") if lines else ""
