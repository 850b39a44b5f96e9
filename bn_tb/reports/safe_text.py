"""Text from untrusted files, made harmless for whoever reads it."""

import re
from collections.abc import Iterator

_UNSEEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1 controls: ESC, CSI, carriage return
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # format, bidi
    "\ud800-\udfff\ufffe\uffff"  # surrogates and noncharacters: no encoding, no XML holds them
    "\U000e0000-\U000e007f"  # tags
    "]"
)


def one_line(text: str) -> str:
    r"""Returns text in which every character can be seen: controls become `\x1b`, `\u202e`."""
    return _UNSEEN.sub(_escape, text)


def lines(text: str) -> list[str]:
    """Returns the lines of a text, each as `one_line` makes it; only line feeds end a line."""
    return [one_line(line) for line in text.replace("\t", "    ").split("\n")]


def prose_and_code(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yields the parts of a fix as (whether it is code, its lines), without blank lines around.

    Code is indented by four, as in Markdown; its lines come without that.
    """
    parts: list[tuple[bool, list[str]]] = []
    for line in lines(text):
        after_code = bool(parts) and parts[-1][0]
        is_code = line.startswith("    ") or (not line.strip() and after_code)
        if not parts or after_code != is_code:
            parts.append((is_code, []))
        parts[-1][1].append(line.removeprefix("    "))
    for is_code, part in parts:
        trimmed = "\n".join(part).strip("\n")
        if trimmed:
            yield is_code, trimmed.split("\n")


def shorten(text: str, width: int, mark: str = "…") -> str:
    """Returns text of at most `width` characters; the middle goes, as names differ at the ends."""
    if len(text) <= width:
        return text
    kept = max(width - len(mark), 0)
    return text[: kept // 2] + mark + text[len(text) - (kept - kept // 2) :]


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
