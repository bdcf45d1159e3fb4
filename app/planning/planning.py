"""Planning: a collection's documents to a plan, or to the prompt of a question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, get_args

from app.answering import prompt
from app.answering.answer import Mode, Turn
from app.errors import EmptyCollection
from app.planning.fitting import Level, fit
from app.planning.planner import (
    Budget,
    ModeChoice,
    Plan,
    PlannedDocument,
    Share,
    choose_mode,
    choose_passages,
    tree_share,
)
from app.planning.reasons import Reason, reason
from app.planning.rules import Ruling
from app.planning.selection import Selection
from app.planning.snapshots import snapshot_hash
from app.search.search import Hit, fuse
from app.shelf import SEARCHED
from engine.errors import DoesNotFit
from engine.prefill.spans import chunk_spans
from ingest import Document, Excerpt, PackedPrompt, TreeLines, counts, listing, pack, tree_lines, tree_of, whole

if TYPE_CHECKING:
    from app.collection import Collection
    from engine.engine import Engine

SLACK = 0.02
"""Share of the window that a core set leaves free, beside the room for the question."""
QUESTION = 192
"""Tokens that a core set leaves for a question: what it holds must not depend on which one is asked."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt ready to run: mode and why, the packed corpus, the frame around it, and the hash of its snapshot."""

    mode: Mode
    reason: Reason
    packed: PackedPrompt
    head: list[int]
    tail: list[int]
    excerpts: tuple[Excerpt, ...] = ()
    listed: tuple[str, ...] = ()
    snapshot: str = ""

    @property
    def prefix(self) -> list[int]:
        """What does not depend on the question: frame head and corpus."""
        return [*self.head, *self.packed.token_ids.tolist()]


class Planning:
    """Plans over the documents of one collection as they are now."""

    def __init__(self, collection: Collection, engine: Engine, *, tree: TreeLines = tree_lines) -> None:
        """`tree` says how many lines the tree of what is read may take."""
        self._collection, self._engine, self._fence, self._lines = collection, engine, collection.fence, tree
        self._cache, self._encode = collection.token_cache(engine), engine.model.encode_with_offsets
        everything = _texts(collection)
        self._ruling: Ruling = collection.rules_of(d.path for d in everything)
        self._all = everything
        self._documents = [d for d in everything if d.path not in self._ruling.excluded]
        if not self._documents:
            raise EmptyCollection(collection.name)
        parts = whole(self._documents)
        sizes = counts(parts, self._encode, fence=self._fence, cache=self._cache)
        self._sizes = {part.document.path: size for part, size in zip(parts, sizes, strict=True)}

    def plan(self, mode: ModeChoice, history: Sequence[Turn] = (), max_new_tokens: int | None = None) -> Plan:
        """What a question would read, what of it is kept, and what the rest takes."""
        engine = self._engine
        head, tail = prompt.framed(engine.model, "", history)
        alone = prompt.framed(engine.model, "", ())[1] if history else tail
        budget = self._budget(head, tail, max_new_tokens)
        made = self._select("", mode, budget)
        corpus = sum(self._sizes.values())
        cached, name, tree = 0, None, 0
        if made.mode == "whole":
            packed = self._pack(made)
            prefix = [*head, *packed.token_ids.tolist()]
            read, name, tree = len(packed.token_ids), self._named(made, packed), packed.tree_tokens
            if engine.store is not None:
                spans = chunk_spans(len(prefix), engine.chunk_tokens)
                cached = engine.store.longest_prefix(engine.namespace, prefix, spans).tokens
        else:
            read = min(corpus + self._tree, budget.packed_window - budget.spoken_for)
        rate = self._collection.library.rates.of(engine.model.name)
        each = engine.model.fingerprint.kv_bytes_per_token
        return Plan(
            made.mode,
            made.reason,
            corpus,
            budget.window,
            budget.effective_window,
            tuple(self._planned(d, made, rate, each) for d in self._all),
            cached,
            (read + len(head)) * each,
            max(0, read - cached) / rate if rate else None,
            self._memory(read + len(head)),
            name,
            max(0, read),
            len(head) + len(alone),
            len(tail) - len(alone),
            budget.spoken_for - len(head) - len(tail),
            tree,
        )

    def prepare(self, question: str, mode: ModeChoice, history: Sequence[Turn], max_new_tokens: int | None) -> Prepared:
        """The prompt for a question: mode chosen, corpus packed."""
        head, tail = prompt.framed(self._engine.model, question, history)
        made = self._select(question, mode, self._budget(head, tail, max_new_tokens))
        packed, mode, reason = self._pack(made), made.mode, made.reason
        name = self._named(made, packed)
        return Prepared(mode, reason, packed, head, tail, tuple(made.excerpts), tuple(made.listed), name)

    def _select(self, question: str, mode: ModeChoice, budget: Budget) -> Selection:
        corpus = sum(self._sizes.values())
        chosen, because = choose_mode(corpus, self._tree, budget, mode)
        if chosen == "packed":
            return self._passages(question, because, budget)
        room = self._core_room()
        return self._everything(because) if corpus + self._tree <= room else self._core(room)

    def _everything(self, because: Reason) -> Selection:
        parts = whole(self._documents)
        why = {p.document.path: f"repeats {p.same_as}; a pointer is read" if p.same_as else "all fits" for p in parts}
        why |= {path: _ruled(rule.pattern, "pin") for path, rule in self._ruling.pinned.items()}
        shares: dict[str, Share] = {p.document.path: "whole" for p in parts}
        return Selection("whole", because, parts, [], shares, dict(self._sizes), why)

    def _core(self, room: int) -> Selection:
        """What of a corpus beyond the window goes in; where nothing does, all of it, for the engine to refuse."""
        pinned, measure = self._ruling.pinned, self._tree_of
        made = fit(self._documents, pinned, room=room, count=self._count, name=self._name, tree=measure)
        if not made.excerpts:
            return self._everything(reason("whole_no_room"))
        counts = Counter(made.levels.values())
        because = reason(
            "whole_core",
            corpus=sum(self._sizes.values()),
            taken=sum(made.tokens.values()),
            levels=", ".join(f"{count} {level}" for level, count in counts.items()),
            **{level: counts[level] for level in get_args(Level)},
        )
        why = made.why | {path: _ruled(rule.pattern, "pin") for path, rule in self._ruling.pinned.items()}
        shares: dict[str, Share] = dict(made.levels)
        return Selection("whole", because, made.excerpts, made.listed, shares, made.tokens, why)

    def _passages(self, question: str, because: Reason, budget: Budget) -> Selection:
        """Pinned documents whole, as far as they fit, and passages that share words with the question."""
        hits = self._search(question) if question else []
        left = budget.packed_window - budget.spoken_for
        pinned: list[Excerpt] = []
        for document in (d for d in self._documents if d.path in self._ruling.pinned):
            size = self._sizes[document.path] + tree_share(document.path, self._encode)
            if size <= left:
                pinned.append(Excerpt.whole(document))
                left -= size
        core = {part.document.path for part in pinned}
        rest = [d for d in self._documents if d.path not in core]
        picked = choose_passages(rest, hits, self._encode, room=left)
        shares: dict[str, Share] = {d.path: "whole" if d.path in core else "per question" for d in self._documents}
        why = dict.fromkeys(shares, "only passages that share words with the question are read")
        for path, rule in self._ruling.pinned.items():
            why[path] = _ruled(rule.pattern, "pin") + ("" if path in core else ", but there is no room for all of it")
        tokens = {path: self._sizes[path] for path in core}
        return Selection("packed", because, [*pinned, *picked], [], shares, tokens, why)

    def _search(self, question: str) -> list[Hit]:
        """Passages by words and their parts, and by sparse vectors where the settings say so."""
        found = self._collection.shelf.search(question)
        library = self._collection.library
        if not library.settings.sparse:
            return found
        index = library.sparse.of(self._collection.name, self._all)
        return fuse([found, index.find(question, limit=SEARCHED)])

    def _planned(self, document: Document, made: Selection, rate: float | None, each: int) -> PlannedDocument:
        path = document.path
        if path in self._ruling.excluded:
            size = self._count(Excerpt.whole(document))
            share: Share = "excluded"
            why = _ruled(self._ruling.excluded[path].pattern, "exclude")
        else:
            size, share, why = self._sizes[path], made.shares[path], made.why[path]
        seconds = round(size / rate, 3) if rate else None
        return PlannedDocument(path, size, share, made.tokens.get(path, 0), seconds, size * each, why)

    def _pack(self, made: Selection) -> PackedPrompt:
        kept, lines = self._cache, self._lines
        return pack(made.excerpts, self._encode, fence=self._fence, cache=kept, listed=made.listed, tree=lines)

    @cached_property
    def _tree(self) -> int:
        """Tokens of the tree where all documents are read; 0 where they cannot be, for then it plays no part."""
        corpus = sum(self._sizes.values())
        return self._tree_of(list(self._sizes), corpus) if corpus <= self._engine.model.window else 0

    def _tree_of(self, paths: Sequence[str], tokens: int) -> int:
        return len(tree_of(paths, self._encode, fence=self._fence, lines=self._lines(tokens)))

    def _named(self, made: Selection, packed: PackedPrompt) -> str:
        return snapshot_hash(made.excerpts, made.listed, self._fence, packed.tree_lines)

    def _count(self, part: Excerpt) -> int:
        return counts([part], self._encode, fence=self._fence, cache=self._cache)[0]

    def _name(self, path: str) -> int:
        return len(listing([path], self._encode, fence=self._fence))

    def _budget(self, head: list[int], tail: list[int], max_new_tokens: int | None) -> Budget:
        reserve = max_new_tokens or self._collection.library.settings.max_new_tokens
        model = self._engine.model
        return Budget(model.window, model.effective_window, model.packed_window, len(head) + len(tail) + reserve)

    def _core_room(self) -> int:
        head, tail = prompt.framed(self._engine.model, "", ())
        budget = self._budget(head, tail, None)
        return int(budget.window * (1 - SLACK)) - budget.spoken_for - QUESTION

    def _memory(self, tokens: int) -> str:
        try:
            return str(self._engine.plan(tokens))
        except DoesNotFit as error:
            return str(error)


def _texts(collection: Collection) -> list[Document]:
    collection.library.require(collection.name)
    documents = collection.shelf.documents()
    if not documents:
        raise EmptyCollection(collection.name)
    return documents


def _ruled(pattern: str, effect: str) -> str:
    return f"{effect} rule '{pattern}'"
