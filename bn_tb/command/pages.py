"""What `bn_tb.analyze` prints about itself instead of a report."""

from typing import Any

import bn_tb
from bn_tb.command.flags import help_text


def page(flags: Any) -> str:
    """Returns the page that was asked for, or an empty string."""
    if flags.help:
        return help_text()
    if flags.version:
        return f"bn_tb {bn_tb.__version__}\n"
    if flags.completion:
        from bn_tb.command import completion

        return completion.script(flags.completion)
    if not (flags.list_rules or flags.explain):
        return ""
    from bn_tb.command import manual

    return manual.rule_list() if flags.list_rules else manual.rule_page(flags.explain)
