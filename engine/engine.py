"""Engine: one model, one session store, one policy; contexts are made once and answered from often."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torch import Tensor

from engine.attention import Attending
from engine.batch import SLOTS, Batch, Choices
from engine.cache import KVCache
from engine.choose import choose
from engine.decoding import Decoding
from engine.dual_chunk import DualChunkAttending
from engine.errors import PromptTooLong, StoreError
from engine.events import CancelToken, OnProgress, Progress
from engine.generate import Generation
from engine.hardware import pick_chunk
from engine.head_figures import HeadFigures
from engine.host_cache import PAGE, HostCache
from engine.memory_plan import MemoryPlan, free_memory, plan_memory
from engine.misses import miss
from engine.model import LanguageModel
from engine.policies.base import Policy
from engine.policies.dense import Dense
from engine.prefill import Report, chunk_spans, prefill_segment
from engine.prefix import HostPrefix, Prefix, ResidentPrefix
from engine.provenance import Provenance
from engine.reason import Reason
from engine.sampling import Sampling
from engine.stopwatch import Part, Stopwatch

if TYPE_CHECKING:
    from engine.store import Namespace, Plan, Store

log = logging.getLogger(__name__)

NUMERICS = 2
"""Raise it when a change makes other KV for the same tokens (DESIGN: part of the namespace)."""


@dataclass(frozen=True, slots=True)
class PrefillStats:
    """What it took to make a context. density and recall are null where every key was computed or none."""

    prompt_tokens: int
    cached_tokens: int
    prefill_seconds: float
    restore_seconds: float
    density: float | None
    recall: float | None
    miss_reason: Reason | None
    plan: Plan | None = None
    """What restoring and computing the kept prefix were expected to take."""
    parts: Mapping[Part, float] = field(default_factory=dict)
    """Of prefill_seconds, those that had a part of their own; the rest are the model's linear layers."""
    heads: HeadFigures | None = None
    """Of the tokens that were computed; null where none was."""


@dataclass(slots=True)
class Context:
    """A prefix whose KV is in memory: tokens, cache, and how it came to be."""

    tokens: list[int]
    cache: KVCache | HostCache = field(repr=False)
    stats: PrefillStats
    prefix: Prefix = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.prefix = HostPrefix(self.cache) if isinstance(self.cache, HostCache) else ResidentPrefix(self.cache)


class Engine:
    """Prefill, keep, answer. Not thread-safe: one call at a time (the app holds a lock)."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        store: Store | None = None,
        policy: Policy | None = None,
        chunk_tokens: int | None = None,
        segment_tokens: int | None = None,
        codec: str = "raw",
        salt: str = "",
    ) -> None:
        gpu = model.device.type == "cuda"
        self.model, self.store, self.policy = model, store, policy or Dense()
        self.codec, self.salt = model.fingerprint.dtype if codec == "raw" else codec, salt
        self.chunk_tokens = chunk_tokens or pick_chunk(model.device)
        self.segment_tokens = max(segment_tokens or (131072 if gpu else 4096), self.chunk_tokens)

    @property
    def namespace(self) -> Namespace:
        """Everything that the KV of this engine depends on."""
        from engine.store import Namespace, codec

        codec(self.codec)  # raises StoreError where there is none of that name
        f = self.model.fingerprint
        return Namespace(
            model=f.model,
            weights=f.weights,
            tokenizer=f.tokenizer,
            rope=f.rope,
            dtype=f.dtype,
            layers=f.layers,
            kv_heads=f.kv_heads,
            head_dim=f.head_dim,
            codec=self.codec,
            policy=self.policy.name,
            policy_parameters=tuple(sorted(self.policy.parameters().items())),
            chunk_tokens=self.chunk_tokens,
            numerics=NUMERICS,
            salt=self.store.seal.salted(self.salt) if self.store else self.salt,
        )

    def namespace_of(self, plan: MemoryPlan) -> Namespace:
        """The namespace of KV that goes where the plan says: e4m3 pages in host memory are kept as they are."""
        if plan.placement == "device":
            return self.namespace
        codec = f"pages{PAGE}-{self.model.fingerprint.dtype}"
        return replace(self.namespace, codec=codec, chunk_tokens=plan.chunk_tokens)

    def check_fits(self, tokens: int, reserve: int) -> None:
        """Raise PromptTooLong when tokens + reserve exceed the model's window."""
        if tokens + reserve > self.model.window:
            raise PromptTooLong(tokens + reserve, self.model.window)

    def plan(self, tokens: int) -> MemoryPlan:
        """Where the KV of so many tokens would go and how they would be cut; raises DoesNotFit."""
        m = self.model
        return plan_memory(
            m.fingerprint, m.config, tokens, free_memory(m.device),
            chunk_tokens=self.chunk_tokens, segment_tokens=self.segment_tokens,
        )  # fmt: skip

    def context(
        self,
        tokens: Sequence[int],
        *,
        cancel: CancelToken | None = None,
        on_progress: OnProgress | None = None,
        save: bool = True,
    ) -> Context:
        """KV of `tokens`: the longest verified prefix from the store, the rest prefilled and saved segment by segment.

        Raises PromptTooLong and DoesNotFit before any work, Cancelled at a chunk's end (finished segments stay in the
        store).
        """
        tokens = list(tokens)
        self.check_fits(len(tokens), 1)
        plan = self.plan(len(tokens))
        spans = chunk_spans(len(tokens), plan.chunk_tokens)
        cache = self.model.new_cache(len(tokens), plan.placement)
        started = time.perf_counter()
        parent, reason, expected = self._restore(tokens, spans, plan, cache, cancel, on_progress)
        cached, restored = cache.length, time.perf_counter() - started
        started = time.perf_counter()
        under = self._prefill(tokens, spans, plan, cache, parent, save, cancel, on_progress)
        density, recall, heads = under.density, under.recall.mean, under.heads  # these wait for the device
        seconds = time.perf_counter() - started
        if self.store is not None and cached < len(tokens):
            self.store.computed(self.namespace_of(plan), len(tokens) - cached, seconds)
        parts = under.watch.seconds if under.watch else {}
        stats = PrefillStats(len(tokens), cached, seconds, restored, density, recall, reason, expected, parts, heads)
        return Context(tokens, cache, stats)

    def generate(
        self,
        context: Context,
        suffix: Sequence[int],
        *,
        sampling: Sampling | None = None,
        cancel: CancelToken | None = None,
        on_progress: OnProgress | None = None,
        provenance: Provenance | None = None,
    ) -> Generation:
        """The answer to `suffix` behind the context, as an iterable of text pieces; the context stays as it was.

        `provenance` (see `watch`) gathers what the answer looks at.
        """
        sampling = sampling or Sampling()
        self.check_fits(len(context.tokens) + len(suffix), sampling.max_new_tokens)
        return Generation(
            self.model,
            context.prefix,
            suffix,
            sampling=sampling,
            chunk_tokens=self.chunk_tokens,
            cancel=cancel,
            on_progress=on_progress,
            provenance=provenance,
        )

    def watch(self, context: Context, *, block: int = 32) -> Provenance:
        """What `generate` can tell of one answer: attention of the model's retrieval heads per block of the prompt."""
        heads, device = self.model.retrieval_heads, self.model.device
        return Provenance(heads, len(context.tokens), block=block, device=device)

    def batch(
        self,
        context: Context,
        suffixes: Sequence[Sequence[int]],
        *,
        sampling: Sampling | None = None,
        slots: int = SLOTS,
        longest: int = 0,
        lead: int = 0,
        choices: Choices | None = None,
        first_index: int = 0,
        cancel: CancelToken | None = None,
    ) -> Batch:
        """The answers to many suffixes behind one context, decoded together; an iterable of Reply as they finish.

        `first_index` numbers the first suffix, `longest` and `lead` make several such calls compute alike, `choices`
        lets each answer be followed by a choice (see Batch). Raises PromptTooLong before any work where one does not
        fit.
        """
        sampling = sampling or Sampling()
        longest = max(longest, *(len(suffix) for suffix in suffixes), 0)
        self.check_fits(len(context.tokens) + longest, sampling.max_new_tokens)
        return Batch(
            self.model,
            context.prefix,
            suffixes,
            sampling=sampling,
            slots=slots,
            longest=longest,
            lead=lead,
            choices=choices,
            chunk_tokens=self.chunk_tokens,
            first_index=first_index,
            cancel=cancel,
        )

    def choose(
        self,
        context: Context,
        suffix: Sequence[int],
        candidates: Sequence[Sequence[int]],
        *,
        cancel: CancelToken | None = None,
    ) -> int:
        """Index of the candidate that the model would rather say behind context + suffix (see engine.choose)."""
        longest = max(len(c) for c in candidates)
        self.check_fits(context.prefix.length + len(suffix), longest)
        decoding = Decoding(self.model, context.prefix, capacity=len(suffix) + longest, chunk_tokens=self.chunk_tokens)

        def advance(tokens: Sequence[int]) -> Tensor:
            return decoding.read(0, tokens, cancel=cancel)

        return choose(candidates, advance(suffix), advance)

    # -- the two halves of context() ----------------------------------------------------------------------------------

    def _restore(
        self,
        tokens: list[int],
        spans: list[tuple[int, int]],
        placed: MemoryPlan,
        cache: KVCache | HostCache,
        cancel: CancelToken | None,
        on_progress: OnProgress | None,
    ) -> tuple[str | None, Reason | None, Plan | None]:
        """Fill the cache from the store where that is worth it.

        Returns the last chunk's key, why it went no further, and what it was expected to take.
        """
        if self.store is None:
            return None, None, None
        if why_not := _not_kept(placed):
            return None, why_not, None
        namespace = self.namespace_of(placed)
        prefix = self.store.longest_prefix(namespace, tokens, spans)
        plan = self.store.plan(namespace, prefix) if prefix.segments else None
        if plan is not None and not plan.restores:
            restoring, computing = plan.restore_seconds, plan.compute_seconds
            return None, miss("computing_faster", computing=computing, restoring=restoring), plan

        def restored(done: int) -> None:
            if cancel is not None:
                cancel.raise_if_cancelled()
            if on_progress:
                on_progress(Progress("restore", done, len(tokens)))

        cache.fill(self.store.restore(prefix, cache.span(0, prefix.tokens), on_tokens=restored))
        damaged = cache.length < prefix.tokens
        keys = [segment.key for segment, span in zip(prefix.segments, spans, strict=False) if span[1] <= cache.length]
        reason = miss("damaged", start=cache.length) if damaged else prefix.miss_reason
        return keys[-1] if keys else None, reason, plan

    def _prefill(
        self,
        tokens: list[int],
        spans: list[tuple[int, int]],
        plan: MemoryPlan,
        cache: KVCache | HostCache,
        parent: str | None,
        save: bool,
        cancel: CancelToken | None,
        on_progress: OnProgress | None,
    ) -> Attending:
        """Compute what the store did not have; what was attended to, how much that kept, and what took how long."""
        todo = [span for span in spans if span[0] >= cache.length]
        done = cache.length
        layers = len(self.model.decoder.layers)
        report = None
        if on_progress:
            report = Report(on_progress, done=done, total=len(tokens), layers=layers, cached=done)
        watch = Stopwatch(self.model.device)
        under = Attending(self.policy, watch=watch)
        dual = self.model.dual_chunk
        attends = DualChunkAttending(under, dual) if dual else under
        together = max(1, plan.segment_tokens // plan.chunk_tokens)
        for i in range(0, len(todo), together):
            segment = todo[i : i + together]
            part = tokens[segment[0][0] : segment[-1][1]]
            prefill_segment(
                self.model.decoder, cache, part, segment,
                attends=attends, cancel=cancel, report=report, watch=watch,
            )  # fmt: skip
            if save and self.store is not None and not _not_kept(plan):
                with watch.part("copies"):
                    parent = self._save(self.namespace_of(plan), parent, tokens, segment, cache)
                save = parent is not None
        return under

    def _save(
        self,
        namespace: Namespace,
        parent: str | None,
        tokens: list[int],
        segment: list[tuple[int, int]],
        cache: KVCache | HostCache,
    ) -> str | None:
        """Hand a segment's chunks to the store, which writes them while the answer goes on."""
        assert self.store is not None
        try:
            for start, end in segment:
                parent = self.store.save_later(namespace, parent, tokens[start:end], cache.span(start, end))
        except StoreError as error:
            log.warning("the session store did not take this prefill: %s", error)
            return None
        return parent


def _not_kept(plan: MemoryPlan) -> Reason | None:
    """Why the session store cannot keep KV that is placed so; None where it can."""
    if plan.placement == "host" and plan.chunk_tokens % PAGE:
        return miss("pages", page=PAGE, chunk=plan.chunk_tokens)
    return None
