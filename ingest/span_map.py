"""SpanMap: from tokens of the packed prompt back to files, characters, lines and pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ingest.document import Document
from ingest.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a document: characters start..end, 1-based lines, page where there is one."""

    path: str
    content_hash: str
    char_start: int
    char_end: int
    line_start: int
    line_end: int
    page_index: int | None
    page_label: str | None


@dataclass(frozen=True, slots=True)
class PackedEntry:
    """Where one excerpt stands: tokens of the prompt (its mark included) and characters of the document."""

    document: Document
    token_start: int
    token_end: int
    char_start: int
    char_end: int

    @property
    def document_path(self) -> str:
        """The document's path."""
        return self.document.path


class SpanMap:
    """Built while packing; `locate` answers for any range of the packed tokens."""

    def __init__(self, entries: Sequence[PackedEntry], tokens: Sequence[Tokens]) -> None:
        self._entries, self._tokens = list(entries), list(tokens)
        self._starts = [entry.token_start for entry in entries]

    def locate(self, token_start: int, token_end: int) -> list[Span]:
        """The places that tokens token_start..token_end came from, in order; marks come from nowhere."""
        spans: list[Span] = []
        first = max(bisect_right(self._starts, token_start) - 1, 0)
        for entry, tokens in zip(self._entries[first:], self._tokens[first:], strict=True):
            if entry.token_start >= token_end:
                break
            low, high = max(token_start - entry.token_start, 0), token_end - entry.token_start
            starts, ends = tokens.starts[low:high], tokens.ends[low:high]
            real = starts >= 0
            if real.any():
                spans.append(place(entry.document, int(starts[real].min()), int(ends[real].max())))
        return spans

    def token_at(self, entry: int, char: int) -> int:
        """The first token (in the prompt) of an entry that begins at a character of its document or behind it."""
        starts = self._tokens[entry].starts
        real = np.flatnonzero(starts >= 0)
        at = int(np.searchsorted(starts[real], char))
        return self._starts[entry] + (int(real[at]) if at < len(real) else len(starts))


def place(document: Document, char_start: int, char_end: int) -> Span:
    """The span of characters of a document."""
    page = document.page_of(char_start)
    return Span(
        document.path,
        document.content_hash,
        char_start,
        char_end,
        document.line_of(char_start),
        document.line_of(max(char_start, char_end - 1)),
        page.index if page else None,
        page.label if page else None,
    )
