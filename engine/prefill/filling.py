"""Filling: one context in the making, from the session store as far as that goes and by prefill from there."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from engine.context import Context, PrefillStats
from engine.errors import StoreError
from engine.events import CancelToken, OnProgress, Progress
from engine.kv.host_cache import PAGE
from engine.kv.memory_plan import MemoryPlan
from engine.misses import miss
from engine.models.model import LanguageModel
from engine.policies.base import Policy
from engine.prefill.attention import Attending
from engine.prefill.dual_chunk import DualChunkAttending
from engine.prefill.prefill import Report, prefill_segment
from engine.prefill.spans import chunk_spans
from engine.prefill.stopwatch import Stopwatch
from engine.reason import Reason

if TYPE_CHECKING:
    from engine.store import Namespace, Plan, Store

log = logging.getLogger(__name__)


class Filling:
    """The KV of some tokens; `namespace` names what the store keeps of it, null where there is no store."""

    def __init__(
        self,
        model: LanguageModel,
        policy: Policy,
        tokens: list[int],
        plan: MemoryPlan,
        store: Store | None,
        namespace: Namespace | None,
        cancel: CancelToken | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._model, self._policy, self._tokens, self._plan = model, policy, tokens, plan
        self._kept = (store, namespace) if store is not None and namespace is not None else None
        self._cancel, self._on_progress = cancel, on_progress
        self._spans = chunk_spans(len(tokens), plan.chunk_tokens)
        self._cache = model.new_cache(len(tokens), plan.placement)
        self._parent: str | None = None
        """Key of the last chunk that the store has."""

    def context(self, *, save: bool) -> Context:
        """Restore, compute the rest, and save it where that is wanted; raises Cancelled."""
        started = time.perf_counter()
        reason, expected = self._restore()
        cached, restored = self._cache.length, time.perf_counter() - started
        started = time.perf_counter()
        under = self._prefill(save=save)
        density, recall, heads = under.density, under.recall.mean, under.heads  # these wait for the device
        seconds = time.perf_counter() - started
        tokens = len(self._tokens)
        if self._kept and cached < tokens:
            store, namespace = self._kept
            store.computed(namespace, tokens - cached, seconds)
        parts = under.watch.seconds if under.watch else {}
        stats = PrefillStats(tokens, cached, seconds, restored, density, recall, reason, expected, parts, heads)
        return Context(self._tokens, self._cache, stats)

    def _restore(self) -> tuple[Reason | None, Plan | None]:
        """Fill the cache from the store where that is worth it; why it went no further, what it was to take."""
        if self._kept is None:
            return None, None
        if why_not := self._not_kept():
            return why_not, None
        (store, namespace), cache = self._kept, self._cache
        prefix = store.longest_prefix(namespace, self._tokens, self._spans)
        plan = store.plan(namespace, prefix) if prefix.segments else None
        if plan is not None and not plan.restores:
            return miss("computing_faster", computing=plan.compute_seconds, restoring=plan.restore_seconds), plan
        cache.fill(store.restore(prefix, cache.span(0, prefix.tokens), on_tokens=self._restored))
        damaged = cache.length < prefix.tokens
        ends = zip(prefix.segments, self._spans, strict=False)
        keys = [segment.key for segment, span in ends if span[1] <= cache.length]
        self._parent = keys[-1] if keys else None
        return miss("damaged", start=cache.length) if damaged else prefix.miss_reason, plan

    def _restored(self, done: int) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()
        if self._on_progress:
            self._on_progress(Progress("restore", done, len(self._tokens)))

    def _prefill(self, *, save: bool) -> Attending:
        """Compute what the store did not have; what was attended to, how much that kept, and what took how long."""
        model, cache, plan = self._model, self._cache, self._plan
        done = cache.length
        todo = [span for span in self._spans if span[0] >= done]
        report = None
        if self._on_progress:
            layers = len(model.decoder.layers)
            report = Report(self._on_progress, done=done, total=len(self._tokens), layers=layers, cached=done)
        watch = Stopwatch(model.device)
        under = Attending(self._policy, watch=watch)
        attends = DualChunkAttending(under, model.dual_chunk) if model.dual_chunk else under
        together = max(1, plan.segment_tokens // plan.chunk_tokens)
        save = save and self._kept is not None and self._not_kept() is None
        for i in range(0, len(todo), together):
            segment = todo[i : i + together]
            part = self._tokens[segment[0][0] : segment[-1][1]]
            prefill_segment(
                model.decoder, cache, part, segment,
                attends=attends, cancel=self._cancel, report=report, watch=watch,
            )  # fmt: skip
            if save:
                with watch.part("copies"):
                    save = self._save(segment)
        return under

    def _save(self, segment: list[tuple[int, int]]) -> bool:
        """Hand a segment's chunks to the store, which writes them while the answer goes on; whether it took them."""
        assert self._kept is not None
        store, namespace = self._kept
        try:
            for start, end in segment:
                part, kv = self._tokens[start:end], self._cache.span(start, end)
                self._parent = store.save_later(namespace, self._parent, part, kv)
        except StoreError as error:
            log.warning("the session store did not take this prefill: %s", error)
            return False
        return True

    def _not_kept(self) -> Reason | None:
        """Why the session store cannot keep KV that is placed so; None where it can."""
        chunk = self._plan.chunk_tokens
        return miss("pages", page=PAGE, chunk=chunk) if self._plan.placement == "host" and chunk % PAGE else None
