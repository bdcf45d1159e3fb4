"""Packing: documents to one byte-stable run of tokens, each document tokenised on its own.

Before each document stands a mark line `[file-<fence> path]`, before each page `[page-<fence> label]`; a document with
the text of an earlier one is `[same-<fence> path]`. An outline's mark is `[outline-<fence> path]`. Behind the last of
several documents stands their tree, `[tree-<fence>]` and an indented list (ingest.tree), and behind that what is left
out, named behind `[left-<fence>]`. The fence is fixed per collection; where a document contains the beginning of a
mark, a zero-width space is put into it, so that no text can pretend to be one. The same documents in the same order
always give the same tokens, and a change in one leaves every token before it as it was.

The tree stands behind the documents, not before them: before them it would change, and with it the KV of all that
follows, whenever a file is added, renamed or removed; here that costs the tree and what changed. It is the last thing
before the question, where a model looks most.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ingest.document import Document
from ingest.duplicates import same
from ingest.outline import outline
from ingest.span_map import PackedEntry, SpanMap
from ingest.tokens import Encode, Ints, TokenCache, Tokens, encode_mark, encode_text
from ingest.tree import TreeLines, tree

BREAK = "\u200b"
THREADS = 4
"""At most, of a core each; more only get into each other's way between two texts."""
MUCH = 1 << 20
"""Characters from which on more than one thread encodes."""
MARKS = "file|page|same|outline|tree|left"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a document that goes into the prompt: characters start..end."""

    document: Document
    start: int
    end: int
    same_as: str | None = None
    """Path of an earlier document with the same text; a pointer to it is packed instead."""
    pieces: tuple[tuple[int, int], ...] = ()
    """Of an outline, the characters start..end that are packed instead of all between start and end."""

    @classmethod
    def whole(cls, document: Document) -> Excerpt:
        """All of it."""
        return cls(document, 0, len(document.text))

    @classmethod
    def outlined(cls, document: Document) -> Excerpt | None:
        """Its declarations; None where it has no outline (ingest.outline)."""
        pieces = outline(document)
        return cls(document, pieces[0][0], pieces[-1][1], pieces=pieces) if pieces else None


@dataclass(frozen=True, slots=True)
class PackedPrompt:
    """The corpus as tokens, the map back to its sources, and a digest of the tokens.

    `tree_tokens` of them are the documents' tree, which `tree_lines` lines were allowed (0: there is none).
    """

    token_ids: Ints
    entries: tuple[PackedEntry, ...]
    digest: str
    spans: SpanMap = field(repr=False)
    tree_tokens: int = 0
    tree_lines: int = 0


def pack(
    excerpts: Sequence[Excerpt],
    encode: Encode,
    *,
    fence: str,
    cache: TokenCache | None = None,
    listed: Sequence[str] = (),
    tree: TreeLines | None = None,
) -> PackedPrompt:
    """Pack excerpts in the order given (the caller sorts: canonical order is by path, byte-wise).

    Of an outline each piece is an entry. `tree` says how many lines the tree of the documents may take (tree_lines is
    the usual rule; None or 0 lines: no tree). `listed` names, behind everything, what is not in the prompt.
    """
    entries: list[PackedEntry] = []
    parts: list[Tokens] = []
    at = 0
    for excerpt, made in zip(excerpts, _all_parts(excerpts, encode, fence, cache), strict=True):
        for tokens, start, end in made:
            entries.append(PackedEntry(excerpt.document, at, at + len(tokens), start, end))
            parts.append(tokens)
            at += len(tokens)
    lines = tree(at) if tree else 0
    shown = tree_of([e.document.path for e in excerpts], encode, fence=fence, lines=lines)
    ids = Tokens.join([*parts, shown, listing(listed, encode, fence=fence)]).ids
    digest = hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest()
    spans = SpanMap(entries, parts)
    return PackedPrompt(ids, tuple(entries), digest, spans, len(shown), lines if len(shown) else 0)


def whole(documents: Sequence[Document]) -> list[Excerpt]:
    """Every document whole; one that repeats an earlier text as a pointer to it."""
    repeated = same(documents)
    return [Excerpt(d, 0, 0, repeated[d.path]) if d.path in repeated else Excerpt.whole(d) for d in documents]


def count_tokens(excerpt: Excerpt | Document, encode: Encode, *, fence: str, cache: TokenCache | None = None) -> int:
    """Tokens that an excerpt, or a whole document, takes in a packed prompt, its mark included."""
    part = Excerpt.whole(excerpt) if isinstance(excerpt, Document) else excerpt
    return counts([part], encode, fence=fence, cache=cache)[0]


def counts(excerpts: Sequence[Excerpt], encode: Encode, *, fence: str, cache: TokenCache | None = None) -> list[int]:
    """Tokens that each excerpt takes, its mark included."""
    return [sum(len(t) for t, _, _ in made) for made in _all_parts(excerpts, encode, fence, cache)]


def listing(paths: Sequence[str], encode: Encode, *, fence: str) -> Tokens:
    """Tokens that name documents which are not in the prompt."""
    if not paths:
        return Tokens.join([])
    names = "".join(f"{_shown(path)}\n" for path in paths)
    return encode_mark(f"[left-{fence}]\n{_harmless(names, fence)}\n", encode)


def tree_of(paths: Sequence[str], encode: Encode, *, fence: str, lines: int) -> Tokens:
    """Tokens of the tree of documents; none where it may have no lines, or there is one document only."""
    names = list(dict.fromkeys(_shown(path) for path in paths))
    if len(names) < 2 or lines < 1:
        return Tokens.join([])
    return encode_mark(f"[tree-{fence}]\n{_harmless(tree(names, lines), fence)}\n", encode)


def token_key(document: Document, fence: str) -> str:
    """The fence, and what else a document's tokens depend on but for the tokenizer: its text as read (not its bytes: a
    reader may change from one version to the next) and its pages."""
    digest = hashlib.sha256(document.text.encode())
    digest.update(repr((MARKS, [(page.label, page.start, page.end) for page in document.pages])).encode())
    return f"{fence}-{digest.hexdigest()}"


def _all_parts(
    excerpts: Sequence[Excerpt], encode: Encode, fence: str, cache: TokenCache | None
) -> Iterator[list[tuple[Tokens, int, int]]]:
    """The parts of each excerpt in order; much text by several threads, which a tokenizer in Rust lets run."""
    threads = min(THREADS, os.cpu_count() or 1)
    if threads == 1 or sum(e.end - e.start for e in excerpts) < MUCH:
        yield from (list(_parts(excerpt, encode, fence, cache)) for excerpt in excerpts)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda excerpt: list(_parts(excerpt, encode, fence, cache)), excerpts)


def _parts(excerpt: Excerpt, encode: Encode, fence: str, cache: TokenCache | None) -> Iterator[tuple[Tokens, int, int]]:
    """Tokens with the characters that they come from: one part, or of an outline one for each piece."""
    document, last = excerpt.document, len(excerpt.pieces) - 1
    if last < 0:
        yield _excerpt(excerpt, encode, fence, cache), excerpt.start, excerpt.end
    for number, (start, end) in enumerate(excerpt.pieces):
        tokens = [_text(document.text, start, end, encode, fence)]
        if number == 0:
            tokens.insert(0, encode_mark(f"[outline-{fence} {_shown(document.path)}]\n", encode))
        if number == last:
            tokens.append(encode_mark("\n" if _ends_line(excerpt) else "\n\n", encode))
        yield Tokens.join(tokens), start, end


def _excerpt(excerpt: Excerpt, encode: Encode, fence: str, cache: TokenCache | None) -> Tokens:
    document = excerpt.document
    if excerpt.same_as is not None:
        pointer = f"[file-{fence} {_shown(document.path)}]\n[same-{fence} {_shown(excerpt.same_as)}]\n\n"
        return encode_mark(pointer, encode)
    mark = encode_mark(f"[file-{fence} {_shown(document.path)}]\n", encode)
    whole = (excerpt.start, excerpt.end) == (0, len(document.text))
    key = token_key(document, fence) if cache and whole else ""
    body = cache.get(key) if cache and key else None
    if body is None:
        body = _body(excerpt, encode, fence)
        if cache and key:
            cache.put(key, body)
    return Tokens.join([mark, body, encode_mark("\n" if _ends_line(excerpt) else "\n\n", encode)])


def _ends_line(excerpt: Excerpt) -> bool:
    return excerpt.document.text[: excerpt.end].endswith("\n")


def _shown(path: str) -> str:
    """A path or page label on one line, with nothing in it that ends a mark."""
    plain = path if path.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)
    return plain.replace("]", "\\]")


def _harmless(text: str, fence: str) -> str:
    """Text of our own that holds names, with every beginning of a mark in it broken."""
    return _mark(fence).sub(lambda found: f"[{BREAK}{found.group()[1:]}", text) if fence in text else text


def _mark(fence: str) -> re.Pattern[str]:
    return re.compile(rf"\[(?:{MARKS})-{re.escape(fence)}")


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
    """Characters start..end, with every beginning of a mark broken; offsets are those of the document."""
    part = text[start:end]
    if fence not in part:
        return encode_text(part, encode, shift=start)
    # where the breaks go: behind each opening bracket, as characters of the unbroken text
    cuts = np.asarray([found.start() + 1 for found in _mark(fence).finditer(part)])
    if not len(cuts):
        return encode_text(part, encode, shift=start)
    pieces = [part[a:b] for a, b in itertools.pairwise([0, *cuts.tolist(), len(part)])]
    tokens = encode_text(BREAK.join(pieces), encode)
    inserted = cuts + np.arange(len(cuts))  # where the breaks stand, as characters of the broken text
    starts = tokens.starts - np.searchsorted(inserted, tokens.starts) + start
    ends = tokens.ends - np.searchsorted(inserted, tokens.ends) + start
    return Tokens(tokens.ids, starts.astype(np.int32), ends.astype(np.int32))
