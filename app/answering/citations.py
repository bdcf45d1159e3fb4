"""Citations: quotes resolved to exact places, exact first, then fuzzy with a score, else marked unverified."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz import fuzz

from app.answering.answer import Citation, State
from app.answering.sentences import Sentence
from ingest import Document, PackedEntry
from ingest.span_map import place

QUOTED = re.compile(r"\"([^\"\n]{12,600})\"|“([^”]{12,600})”|«([^»]{12,600})»")
FUZZY = 85.0
"""Lowest rapidfuzz score (0 to 100) at which two wordings count as the same."""
FOLD = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "\u00a0": " "})


def quotes(answer: str) -> list[str]:
    """What the answer itself puts in quotation marks, each once, in order."""
    found = (next(g for g in m.groups() if g) for m in QUOTED.finditer(answer))
    return list(dict.fromkeys(q.strip() for q in found))


def resolve(quote: str, entries: Sequence[PackedEntry]) -> Citation:
    """Find a quote in what the prompt held. Spaces, line ends and typographic quotes may differ in an exact match."""
    folded = " ".join(quote.translate(FOLD).split())
    texts = [_fold(entry.document.text, entry.char_start, entry.char_end) for entry in entries]
    for entry, (text, where) in zip(entries, texts, strict=True):
        at = text.find(folded)
        if folded and at >= 0:
            return cite(entry.document, where[at], where[at + len(folded) - 1] + 1, "exact")
    best: tuple[float, Document, int, int] | None = None
    for entry, (text, where) in zip(entries, texts, strict=True):
        found = fuzz.partial_ratio_alignment(folded, text, score_cutoff=FUZZY)
        if found is None or found.dest_end <= found.dest_start or len(text) < len(folded):
            continue
        if best is None or found.score > best[0]:
            best = (found.score, entry.document, where[found.dest_start], where[found.dest_end - 1] + 1)
    if best is None:
        return Citation(quote, "unverified")
    score, document, start, end = best
    return cite(document, start, end, "fuzzy", round(score, 1))


def cite(document: Document, start: int, end: int, state: State, score: float | None = None) -> Citation:
    """The citation of characters start..end of a document."""
    span = place(document, start, end)
    page = None
    if span.page_index is not None:
        page = span.page_label or str(span.page_index + 1)
    return Citation(
        document.text[start:end],
        state,
        document.id,
        document.path,
        page,
        span.line_start,
        span.line_end,
        start,
        end,
        score,
    )


def cite_sentence(sentence: Sentence) -> Citation:
    """The citation of a sentence taken verbatim."""
    return cite(sentence.document, sentence.start, sentence.end, "exact")


def _fold(text: str, start: int, end: int) -> tuple[str, list[int]]:
    """Text with runs of white space as one space and plain quotes, and where each character came from."""
    out: list[str] = []
    where: list[int] = []
    for match in re.finditer(r"\S+", text[start:end]):
        if out:
            out.append(" ")
            where.append(start + match.start() - 1)
        word = match.group().translate(FOLD)
        out.append(word)
        where.extend(range(start + match.start(), start + match.end()))
    return "".join(out), where
