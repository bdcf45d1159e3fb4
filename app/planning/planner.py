"""Planner: what of a collection goes into the prompt, whole or as passages, and why."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.answering.answer import Mode
from app.planning.reasons import Reason, reason
from app.search.search import Hit
from ingest import Document, Encode, Excerpt, passages
from ingest.tree import tree

ModeChoice = Literal["auto", "whole", "packed"]
MARK_TOKENS = 24
"""Room for the mark before an excerpt, beside the path's own tokens."""
UNIT = 4096
UNITS = 8
CHARACTERS = 4
"""Of a token, about; what a unit takes is counted."""


Share = Literal["whole", "outlined", "listed", "per question", "excluded"]


@dataclass(frozen=True, slots=True)
class PlannedDocument:
    """A document's share and why: all of it, its declarations, its name, passages picked per question, or nothing.

    `tokens`, `prefill_seconds` (null until this machine has read once) and `kv_bytes` are what all of it takes, or
    would take; `prompt_tokens` is what it takes before a question is known.
    """

    path: str
    tokens: int
    included: Share
    prompt_tokens: int
    prefill_seconds: float | None
    kv_bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a question over the collection would read. Seconds are null until this machine has read once.

    `memory` says in a line where the KV would go and what it takes, or why it fits nowhere; `snapshot` is the hash of
    what is read, null where that depends on the question.
    """

    mode: Mode
    reason: str
    corpus_tokens: int
    window: int
    effective_window: int
    documents: tuple[PlannedDocument, ...]
    cached_tokens: int
    kv_bytes: int
    prefill_seconds: float | None
    memory: str
    snapshot: str | None
    read_tokens: int = 0
    """Of the corpus: all of it, or the room that passages get."""
    system_tokens: int = 0
    history_tokens: int = 0
    reserve_tokens: int = 0
    """For the answer."""
    tree_tokens: int = 0
    """Of the list of what is read, behind the documents; part of `read_tokens`, not of `corpus_tokens`."""

    @property
    def ready(self) -> bool:
        """Whether all that is read before a question is known is in the session store."""
        return self.mode == "whole" and self.cached_tokens >= self.read_tokens


@dataclass(frozen=True, slots=True)
class Branch:
    """A folder's share of a plan, those of the folders in it included; "" is the whole collection.

    `prompt_tokens` is what goes in before a question is known.
    """

    path: str
    tokens: int
    prompt_tokens: int
    documents: int


def branches(documents: Sequence[PlannedDocument]) -> list[Branch]:
    """Every folder with the tokens below it, in the order of a tree, so that heavy branches are seen."""
    tokens: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for document in documents:
        parts = document.path.split("/")[:-1]
        for folder in ("/".join(parts[:depth]) for depth in range(len(parts) + 1)):
            tokens[folder] += document.tokens
            taken[folder] += document.prompt_tokens
            counts[folder] += 1
    order = sorted(tokens, key=lambda path: path.encode().split(b"/"))
    return [Branch(path, tokens[path], taken[path], counts[path]) for path in order]


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens a prompt may take: the model's window, what it answers well from, the share that picked passages may
    fill, and what is spoken for already (question, frame, answer)."""

    window: int
    effective_window: int
    packed_window: int
    spoken_for: int


def choose_mode(corpus_tokens: int, tree_tokens: int, budget: Budget, wanted: ModeChoice) -> tuple[Mode, Reason]:
    """The mode and its reason; whether a forced whole fits the window is the engine's to say."""
    effective = budget.effective_window
    fits = corpus_tokens + tree_tokens + budget.spoken_for <= effective
    if wanted == "whole":
        code = "whole_as_asked" if fits else "whole_beyond"
        return "whole", reason(code, corpus=corpus_tokens, effective=effective)
    if wanted == "packed":
        return "packed", reason("packed_as_asked")
    if fits:
        return "whole", reason("whole_fits", corpus=corpus_tokens)
    return "packed", reason("packed_too_long", corpus=corpus_tokens, effective=effective)


def choose_passages(documents: Sequence[Document], hits: Sequence[Hit], encode: Encode, *, room: int) -> list[Excerpt]:
    """The best passages that fit `room` tokens, in source order; neighbours become one excerpt.

    Where the room is large each stands with what surrounds it (UNIT tokens, a UNITS-th of the room at most). Where
    nothing shares a word with the question, the documents' beginnings stand in.
    """
    by_path = {d.path: d for d in documents}
    if not hits:
        hits = [Hit(d.path, 0, d.line_start(min(40, d.line_count + 1))) for d in documents]
    surround = _Units(CHARACTERS * min(UNIT, room // UNITS))
    chosen: dict[Hit, None] = {}
    named: set[str] = set()
    for hit in hits:
        document = by_path.get(hit.path)
        if document is None:
            continue
        mark = len(encode(hit.path)[0]) + MARK_TOKENS
        line = 0 if hit.path in named else tree_share(hit.path, encode)
        for wanted in (surround.of(document, hit), hit):
            cost = len(encode(document.text[wanted.start : wanted.end])[0]) + mark + line
            if wanted in chosen:
                break
            if cost <= room:
                chosen[wanted] = None
                named.add(hit.path)
                room -= cost
                break
    return _merge(list(chosen), by_path)


def tree_share(path: str, encode: Encode) -> int:
    """The most tokens that a document adds to the tree of what is read: its line and those of its folders."""
    return len(encode(tree([path], len(path)))[0])


class _Units:
    """Documents cut into runs of passages of at most so many characters."""

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self._cut: dict[str, list[Hit]] = {}

    def of(self, document: Document, hit: Hit) -> Hit:
        """The run that a passage stands in; itself where runs would be no longer."""
        if self._characters <= hit.end - hit.start:
            return hit
        units = self._cut.setdefault(document.path, []) or self._fill(document)
        return units[bisect_right(units, hit.start, key=lambda unit: unit.start) - 1]

    def _fill(self, document: Document) -> list[Hit]:
        units = self._cut[document.path]
        for passage in passages(document, max_chars=self._characters):
            if units and passage.end - units[-1].start <= self._characters:
                units[-1] = Hit(document.path, units[-1].start, passage.end)
            else:
                units.append(Hit(document.path, passage.start, passage.end))
        return units


def _merge(hits: Sequence[Hit], by_path: dict[str, Document]) -> list[Excerpt]:
    """Excerpts in source order, adjoining passages joined."""
    out: list[Excerpt] = []
    for hit in sorted(hits, key=lambda h: (h.path.encode(), h.start)):
        last = out[-1] if out else None
        if last and last.document.path == hit.path and last.end >= hit.start:
            out[-1] = Excerpt(last.document, last.start, max(last.end, hit.end))
        else:
            out.append(Excerpt(by_path[hit.path], hit.start, hit.end))
    return out
