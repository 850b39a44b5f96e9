"""A rule's manual page from Markdown to a tree that the page turns into elements."""

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

Node = str | dict[str, Any]

_URL = re.compile(r"(https://[^\s<>()]*[^\s<>().,;:])")
_TAGS = {"heading": "h3", "fence": "pre", "code_block": "pre", "code_inline": "code"}


def page(markdown: str) -> list[Node]:
    """Returns a Markdown text as nodes: strings, or `{"tag", "children"}` with `href` for links.

    HTML in the text is shown as text.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return _children(SyntaxTreeNode(parser.parse(markdown)))


def _linked(text: str) -> Node:
    if not _URL.fullmatch(text):
        return text
    return {"tag": "a", "href": text, "children": [text]}


def _children(node: SyntaxTreeNode) -> list[Node]:
    return [part for child in node.children for part in _nodes(child)]


def _nodes(node: SyntaxTreeNode) -> list[Node]:
    if node.type == "text":
        return [_linked(part) for part in _URL.split(node.content) if part]
    if node.type in ("softbreak", "hardbreak"):
        return [" "]
    if node.type == "inline" or node.hidden:  # a paragraph of a tight list is hidden
        return _children(node)
    element: dict[str, Any] = {"tag": _TAGS.get(node.type, node.tag)}
    element["children"] = (
        [node.content] if node.type in _TAGS and not node.children else _children(node)
    )
    if node.type == "link":
        element["href"] = str(node.attrs.get("href", ""))
    return [element]
