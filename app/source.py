"""SourceView: the lines around a cited place, never a whole large file."""

from __future__ import annotations

from dataclasses import dataclass

from ingest import Document
from ingest import PageImage as PageImage


@dataclass(frozen=True, slots=True)
class SourceView:
    """Lines first_line.. of a document; highlight_start..highlight_end are 1-based lines, null without a place."""

    document: str
    path: str
    title: str
    first_line: int
    total_lines: int
    lines: tuple[str, ...]
    highlight_start: int | None
    highlight_end: int | None
    page: str | None


def view(document: Document, char_start: int | None, char_end: int | None, *, context_lines: int) -> SourceView:
    """The window of `context_lines` lines before and behind characters char_start..char_end (or from the top)."""
    first, last, page = 1, min(2 * context_lines + 1, document.line_count), None
    highlight: tuple[int, int] | None = None
    if char_start is not None:
        end = char_end if char_end is not None else char_start + 1
        highlight = (document.line_of(char_start), document.line_of(max(end - 1, char_start)))
        first = max(1, highlight[0] - context_lines)
        last = min(document.line_count, highlight[1] + context_lines)
        found = document.page_of(char_start)
        page = (found.label or str(found.index + 1)) if found else None
    text = document.text[document.line_start(first) : document.line_start(last + 1)]
    return SourceView(
        document.id,
        document.path,
        document.title,
        first,
        document.line_count,
        tuple(text.removesuffix("\n").split("\n")),
        highlight[0] if highlight else None,
        highlight[1] if highlight else None,
        page,
    )
