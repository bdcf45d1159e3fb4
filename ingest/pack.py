"""Packing: documents to one byte-stable run of tokens, each document tokenised on its own.

Before each document stands a mark line `[file-<fence> path]`, before each PDF page `[page-<fence> label]`. The fence is
fixed per collection; where a document contains the fence itself, a zero-width space is put into it, so that no text
can pretend to be a mark. The same documents in the same order always give the same tokens, and a change in one leaves
every token before it as it was.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.document import Document
from ingest.span_map import PackedEntry, SpanMap
from ingest.tokens import Encode, Ints, TokenCache, Tokens, encode_mark, encode_text

BREAK = "\u200b"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a document that goes into the prompt: characters start..end."""

    document: Document
    start: int
    end: int

    @classmethod
    def whole(cls, document: Document) -> Excerpt:
        """All of it."""
        return cls(document, 0, len(document.text))


@dataclass(frozen=True, slots=True)
class PackedPrompt:
    """The corpus as tokens, the map back to its sources, and a digest of the tokens."""

    token_ids: Ints
    entries: tuple[PackedEntry, ...]
    digest: str
    spans: SpanMap = field(repr=False)


def pack(excerpts: Sequence[Excerpt], encode: Encode, *, fence: str, cache: TokenCache | None = None) -> PackedPrompt:
    """Pack excerpts in the order given (the caller sorts: canonical order is by path, byte-wise)."""
    entries: list[PackedEntry] = []
    parts: list[Tokens] = []
    at = 0
    for excerpt in excerpts:
        tokens = _excerpt(excerpt, encode, fence, cache)
        entries.append(PackedEntry(excerpt.document, at, at + len(tokens), excerpt.start, excerpt.end))
        parts.append(tokens)
        at += len(tokens)
    ids = Tokens.join(parts).ids
    digest = hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest()
    return PackedPrompt(ids, tuple(entries), digest, SpanMap(entries, parts))


def count_tokens(document: Document, encode: Encode, *, fence: str, cache: TokenCache | None = None) -> int:
    """Tokens that a whole document takes in a packed prompt, its mark included."""
    return len(_excerpt(Excerpt.whole(document), encode, fence, cache))


def _excerpt(excerpt: Excerpt, encode: Encode, fence: str, cache: TokenCache | None) -> Tokens:
    document = excerpt.document
    mark = encode_mark(f"[file-{fence} {_shown(document.path)}]\n", encode)
    whole = (excerpt.start, excerpt.end) == (0, len(document.text))
    key = hashlib.sha256(f"{document.content_hash} {document.kind} {fence}".encode()).hexdigest()
    body = cache.get(key) if cache and whole else None
    if body is None or (len(body) and int(body.ends.max()) > len(document.text)):
        body = _body(excerpt, encode, fence)
        if cache and whole:
            cache.put(key, body)
    return Tokens.join([mark, body, encode_mark("\n" if _ends_line(excerpt) else "\n\n", encode)])


def _ends_line(excerpt: Excerpt) -> bool:
    return excerpt.document.text[: excerpt.end].endswith("\n")


def _shown(path: str) -> str:
    """A path on one line."""
    return path.replace("\n", "\\n").replace("]", "\\]")


def _body(excerpt: Excerpt, encode: Encode, fence: str) -> Tokens:
    document = excerpt.document
    parts: list[Tokens] = []
    pages = [p for p in document.pages if p.end > excerpt.start and p.start < excerpt.end]
    if not pages:
        return _text(document.text, excerpt.start, excerpt.end, encode, fence)
    for page in pages:
        parts.append(encode_mark(f"[page-{fence} {_shown(page.label or str(page.index + 1))}]\n", encode))
        start, end = max(page.start, excerpt.start), min(page.end, excerpt.end)
        parts.append(_text(document.text, start, end, encode, fence))
    return Tokens.join(parts)


def _text(text: str, start: int, end: int, encode: Encode, fence: str) -> Tokens:
    """Characters start..end, with every occurrence of the fence broken; offsets are those of the document."""
    part = text[start:end]
    if fence not in part:
        return encode_text(part, encode, shift=start)
    breaks: list[int] = []  # positions in the broken text of the characters that were put in
    found = part.find(fence)
    while found >= 0:
        breaks.append(found + 1 + len(breaks))
        found = part.find(fence, found + 1)
    pieces, last = [], 0
    for i, at in enumerate(breaks):
        pieces.append(part[last : at - i])
        last = at - i
    tokens = encode_text(BREAK.join([*pieces, part[last:]]), encode)
    return Tokens(tokens.ids, _unbroken(tokens.starts, breaks, start), _unbroken(tokens.ends, breaks, start))


def _unbroken(offsets: Ints, breaks: list[int], start: int) -> Ints:
    """Offsets in the broken text, as characters of the document."""
    return np.asarray([int(o) - bisect_left(breaks, int(o)) + start for o in offsets], dtype=np.int32)
