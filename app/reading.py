"""Reading: a collection's prompts read by an engine, and what the session store keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.reports import Kept
from engine.events import CancelToken, OnProgress
from engine.prefill.spans import chunk_spans

if TYPE_CHECKING:
    from app.collection import Collection
    from app.planning.planning import Prepared
    from engine.context import Context
    from engine.engine import Engine
    from engine.store import Manifest

MEASURED_FROM = 256
"""Prefills of fewer tokens say little about the rate."""


class Reading:
    """One collection by one engine; whoever reads has the engine's turn."""

    def __init__(self, collection: Collection, engine: Engine) -> None:
        self._collection, self._engine = collection, engine

    def whole(self) -> Prepared:
        """The prompt of the whole collection, no question behind it; raises EmptyCollection, NoSuchCollection."""
        return self._collection.prepare(self._engine, "", "whole", (), None)

    def read(
        self, prepared: Prepared, cancel: CancelToken | None = None, on_progress: OnProgress | None = None
    ) -> Context:
        """The prefix's KV; only whole corpora are worth keeping, passages change with the question."""
        engine, keep = self._engine, prepared.mode == "whole"
        if keep and engine.store is not None:
            self._collection.kept_kv.note(engine, prepared)
        context = engine.context(prepared.prefix, cancel=cancel, on_progress=on_progress, save=keep)
        computed = context.stats.prompt_tokens - context.stats.cached_tokens
        if computed >= MEASURED_FROM:
            self._collection.library.rates.note(engine.model.name, computed, context.stats.prefill_seconds)
        return context

    def kept(self) -> Kept:
        """What of the whole collection the session store would give back, and why no more."""
        prefix, engine = self.whole().prefix, self._engine
        store = self._collection.library.store
        found = store.longest_prefix(engine.namespace, prefix, chunk_spans(len(prefix), engine.chunk_tokens))
        return Kept(len(prefix), found.tokens, found.miss_reason)

    def pin(self, name: str) -> Manifest:
        """Keep what was read of the whole collection as a session of that name."""
        prepared, engine = self.whole(), self._engine
        spans = chunk_spans(len(prepared.prefix), engine.chunk_tokens)
        store = self._collection.library.store
        return store.pin(name, engine.namespace, prepared.prefix, spans, pack=prepared.packed.digest)
