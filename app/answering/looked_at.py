"""LookedAt: the places in the documents that an answer's tokens paid most attention to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest import PackedPrompt

MOST, LEAST_SHARE = 5, 0.05
"""Places that are shown, and the share of attention from which one is worth showing."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A stretch of a document and its share of the attention that the answer paid to the prompt.

    Lines are 1-based; characters count in the document's text; `page` is the page's label where there are pages.
    """

    path: str
    page: str | None
    line_start: int
    line_end: int
    char_start: int
    char_end: int
    share: float


def looked_at(packed: PackedPrompt, shares: Sequence[float], *, block: int, before: int) -> tuple[LookedAt, ...]:
    """The places behind the blocks with most attention, most first.

    `shares` are per block of `block` prompt tokens, of which the first `before` stand before the documents.
    """
    found: list[LookedAt] = []
    for i in sorted(range(len(shares)), key=lambda i: -shares[i])[:MOST]:
        if shares[i] < LEAST_SHARE:
            break
        start, end = i * block - before, (i + 1) * block - before
        found += [
            LookedAt(
                span.path,
                span.page_label,
                span.line_start,
                span.line_end,
                span.char_start,
                span.char_end,
                round(shares[i], 4),
            )
            for span in packed.spans.locate(max(start, 0), max(end, 0))
        ]
    return tuple(found)
