"""Outline: the lines of a code file that declare something, by tree-sitter's grammars, without what bodies hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from ingest.document import Document

LANGUAGES = {
    "py": "python",
    "pyi": "python",
    "js": "javascript",
    "mjs": "javascript",
    "jsx": "javascript",
    "ts": "typescript",
    "tsx": "tsx",
    "go": "go",
    "rs": "rust",
    "java": "java",
    "kt": "kotlin",
    "scala": "scala",
    "swift": "swift",
    "c": "c",
    "h": "c",
    "cc": "cpp",
    "cpp": "cpp",
    "hpp": "cpp",
    "cs": "csharp",
    "rb": "ruby",
    "php": "php",
    "lua": "lua",
    "sh": "bash",
    "bash": "bash",
}
DECLARES = re.compile(
    r"(?:decorated|function|method|class|interface|struct|enum|trait|impl|mod|module|namespace|constructor|type|object"
    r"|protocol|union|package)_(?:definition|declaration|item|specifier|spec|clause|signature_item)"
)
PLAIN = {"method", "singleton_method", "class", "module"}
"""What Ruby's grammar calls them."""
CALLABLE = re.compile(r"function|method|constructor")
WORTH = 0.6
"""An outline with more of the text than this saves nothing."""
LONGEST_LINE = 1000
"""Of minified code a line is the whole file."""


def outline(document: Document) -> tuple[tuple[int, int], ...]:
    """Characters start..end of the declaring lines in order, with the first line of Python's docstrings.

    Empty where the file is in no language that is known, declares nothing, or is hardly longer than its outline.
    """
    language = LANGUAGES.get(PurePosixPath(document.path).suffix.lower().removeprefix("."))
    if language is None or document.kind != "code":
        return ()
    pieces = [(document.line_start(a + 1), document.line_start(b + 2)) for a, b in _rows(language, document.text)]
    kept = sum(end - start for start, end in pieces)
    longest = max((len(line) for a, b in pieces for line in document.text[a:b].split("\n")), default=0)
    return () if longest > LONGEST_LINE or kept > WORTH * len(document.text) else tuple(pieces)


@lru_cache(maxsize=4096)
def _rows(language: str, text: str) -> tuple[tuple[int, int], ...]:
    """Rows first..last of what declares something; neighbours joined."""
    from tree_sitter_language_pack import get_parser

    root = get_parser(language).parse(text.encode()).root_node  # type: ignore[arg-type]
    joined: list[tuple[int, int]] = []
    for first, last in sorted(_declared(root)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def _declared(root: Any) -> Iterator[tuple[int, int]]:
    """Depth first with a stack of our own; not into the bodies of functions."""
    stack = list(root.named_children)
    while stack:
        node = stack.pop()
        if node.type == "decorated_definition":
            yield node.start_point.row, node.child_by_field_name("definition").start_point.row
        elif _declares(node):
            body = node.child_by_field_name("body")
            yield node.start_point.row, _before(body) if body is not None else node.end_point.row
            yield from _docstring(body)
            if CALLABLE.search(node.type) or node.type in ("method", "singleton_method"):
                continue
        stack.extend(node.named_children)


def _declares(node: Any) -> bool:
    if node.type == "arrow_function":
        return bool(node.parent.type == "variable_declarator")
    return node.type in PLAIN or DECLARES.fullmatch(node.type) is not None


def _before(body: Any) -> int:
    """The row on which the declaration ends and the body, but for a bracket, begins."""
    previous = body.prev_sibling
    return int(previous.end_point.row if previous is not None else body.start_point.row)


def _docstring(body: Any) -> Iterator[tuple[int, int]]:
    first = body.named_children[0] if body is not None and body.named_children else None
    if first is not None and first.type == "expression_statement" and first.named_children:
        first = first.named_children[0]
    if first is not None and first.type == "string" and body.type == "block":
        yield first.start_point.row, first.start_point.row
