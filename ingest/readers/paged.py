"""Paged: parts of a text joined, each a page with its label."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.document import Page


def join(parts: Iterable[tuple[str, str]]) -> tuple[str, tuple[Page, ...]]:
    """(label, text) pairs to one text, each part closed by a line end, and the page of each part."""
    texts: list[str] = []
    pages: list[Page] = []
    at = 0
    for index, (label, text) in enumerate(parts):
        body = text.strip("\n") + "\n"
        texts.append(body)
        pages.append(Page(index, label, at, at + len(body)))
        at += len(body)
    return "".join(texts), tuple(pages)
