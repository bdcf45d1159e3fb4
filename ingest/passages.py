"""Passages: a document cut where it cuts itself (headings, paragraphs, top-level definitions), never inside a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.document import Document

HEADING = re.compile(r"^#{1,6} +(.+)$")
LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""Lines as Document counts them; str.splitlines would also cut at form feeds and other separators."""
INNER = re.compile(r"\n(?=[ \t]+(?:(?:async )?def |class |function |fn |func |pub |public |@))")
DECORATED = re.compile(r"\n[ \t]*@[^\n]*\n$")
DEFINITION = re.compile(r"^(?:(?:async )?def |class |function |fn |func |pub |public |impl |struct |@)")


@dataclass(frozen=True, slots=True)
class Passage:
    """Characters start..end of a document, and the heading or definition they stand under."""

    start: int
    end: int
    heading: str


def passages(document: Document, *, max_chars: int) -> list[Passage]:
    """Passages that cover the whole text in order. One longer than max_chars is a single line that long."""
    out: list[Passage] = []
    for start, end, heading in _sections(document):
        out.extend(_fit(document.text, start, end, heading, max_chars, code=document.kind == "code"))
    return out


def _sections(document: Document) -> Iterator[tuple[int, int, str]]:
    """Cut before headings (text, Markdown, HTML), before top-level definitions (code), at pages (PDF)."""
    text = document.text
    if document.pages:
        yield from ((page.start, page.end, f"page {page.label}") for page in document.pages)
        return
    start, heading, at, decorated, fenced = 0, "", 0, False, False
    for line in LINE.findall(text):
        fenced ^= document.kind == "markdown" and line.lstrip().startswith(("```", "~~~"))
        title = None if fenced else _title(document, line)
        if title is not None and not decorated:
            if at > start:
                yield start, at, heading
            start = at
        if title is not None:
            heading, decorated = title, line.startswith("@")
        at += len(line)
    if at > start:
        yield start, at, heading


def _title(document: Document, line: str) -> str | None:
    if document.kind == "code":
        return line.strip().rstrip(":{") if DEFINITION.match(line) else None
    found = HEADING.match(line)
    return found.group(1).strip() if found else None


def _fit(text: str, start: int, end: int, heading: str, max_chars: int, *, code: bool) -> Iterator[Passage]:
    """Cut a section into parts of at most max_chars: before an inner definition, a blank line, else at a line end."""
    while end - start > max_chars:
        window = text[start : start + max_chars]
        inner = [m.end() for m in INNER.finditer(window) if not DECORATED.search(window, 0, m.end())] if code else []
        cut = inner[-1] if inner else 0
        if cut < max_chars // 3:
            cut = window.rfind("\n\n") + 2
        if cut < max(max_chars // 3, 2):
            cut = window.rfind("\n") + 1
        if cut <= 0:
            following = text.find("\n", start, end)
            cut = (following + 1 if following >= 0 else end) - start
        yield Passage(start, start + cut, heading)
        start += cut
    if start < end:
        yield Passage(start, end, heading)
