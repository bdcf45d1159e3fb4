"""The attention map: how much of an answer's attention went to each part of each document, over the whole corpus."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ingest import PackedEntry, PackedPrompt

CELLS, DOCUMENTS, PIECES = 160, 40, 40
"""Parts that a map has about, documents that it names, and excerpts of one document that it shows, those most looked
at."""
LEAST = 64
"""Tokens that a part has at least, where the document has no pages."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of a document and its share of the attention paid to the prompt. Lines are 1-based, of the document's
    text; `page` is its label, "3–5" where the part has several, null where there are no pages."""

    page: str | None
    line_start: int
    line_end: int
    char_start: int
    char_end: int
    share: float


@dataclass(frozen=True, slots=True)
class MappedDocument:
    """A document in the prompt, its share, and its parts in order."""

    path: str
    share: float
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """Documents in the prompt's order; `elsewhere` is the share of `others` documents more."""

    documents: tuple[MappedDocument, ...]
    others: int = 0
    elsewhere: float = 0.0


def attention_map(packed: PackedPrompt, shares: Sequence[float], *, block: int, before: int) -> AttentionMap:
    """The map of shares per block of `block` prompt tokens, of which the first `before` stand before the documents.

    A block's share is spread evenly over its tokens.
    """
    edges = np.arange(len(shares) + 1) * block - before
    upto = np.concatenate([[0.0], np.cumsum(shares)])

    def share(start: int, end: int) -> float:
        low, high = np.interp([start, end], edges, upto)
        return float(high - low)

    paths: dict[str, list[int]] = {}
    for i, entry in enumerate(packed.entries):
        paths.setdefault(entry.document_path, []).append(i)
    total = {p: sum(share(e.token_start, e.token_end) for e in _of(packed, rows)) for p, rows in paths.items()}
    shown = set(sorted(paths, key=lambda path: -total[path])[:DOCUMENTS])
    size = sum(e.token_end - e.token_start for path in shown for e in _of(packed, paths[path])) or 1
    documents = []
    for path in (p for p in paths if p in shown):
        cells: list[Cell] = []
        seen = sorted(paths[path], key=lambda i: -share(packed.entries[i].token_start, packed.entries[i].token_end))
        for i in sorted(seen[:PIECES]):
            entry = packed.entries[i]
            most = max(1, round(CELLS * (entry.token_end - entry.token_start) / size))
            for start, end in _parts(packed, i, most):
                cells += _cell(packed, i, start, end, share(start, end))
        documents.append(MappedDocument(path, round(total[path], 4), tuple(cells)))
    others = [path for path in paths if path not in shown]
    return AttentionMap(tuple(documents), len(others), round(sum(total[path] for path in others), 4))


def _of(packed: PackedPrompt, rows: Sequence[int]) -> list[PackedEntry]:
    return [packed.entries[i] for i in rows]


def _parts(packed: PackedPrompt, i: int, most: int) -> list[tuple[int, int]]:
    """Token ranges of an entry: pages (several together where there are more than `most`), else equal stretches."""
    entry = packed.entries[i]
    pages = [p for p in entry.document.pages if entry.char_start < p.end and p.start < entry.char_end]
    if len(pages) > 1:
        step = -(-len(pages) // most) if len(pages) > 3 * most else 1
        inner: NDArray[np.int64] = np.array([packed.spans.token_at(i, page.start) for page in pages[step::step]])
    else:
        count = max(1, min(most, (entry.token_end - entry.token_start) // LEAST))
        inner = np.linspace(entry.token_start, entry.token_end, count + 1).astype(np.int64)[1:-1]
    bounds = [entry.token_start, *inner.tolist(), entry.token_end]
    return [(a, b) for a, b in itertools.pairwise(bounds) if b > a]


def _cell(packed: PackedPrompt, i: int, start: int, end: int, share: float) -> list[Cell]:
    """The part behind some tokens of an entry; none where they are marks alone."""
    found = packed.spans.locate(start, end)
    if not found:
        return []
    span, document = found[0], packed.entries[i].document
    last = document.page_of(max(span.char_start, span.char_end - 1))
    first = document.page_of(span.char_start)
    page = None
    if first and last:
        labels = [p.label or str(p.index + 1) for p in (first, last)]
        page = labels[0] if first == last else "–".join(labels)
    return [Cell(page, span.line_start, span.line_end, span.char_start, span.char_end, round(share, 5))]
