"""Engine: one model, one session store, one policy; contexts are made once and answered from often."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from engine.context import Context
from engine.decode.batch import SLOTS, Batch, Choices
from engine.decode.choose import choose
from engine.decode.decoding import Decoding
from engine.decode.generate import Generation
from engine.decode.provenance import Provenance
from engine.decode.sampling import Sampling
from engine.errors import PromptTooLong
from engine.events import CancelToken, OnProgress
from engine.hardware import pick_chunk
from engine.kv.host_cache import PAGE
from engine.kv.memory_plan import MemoryPlan, free_memory, plan_memory
from engine.models.model import LanguageModel
from engine.policies.base import Policy
from engine.policies.dense import Dense
from engine.prefill.filling import Filling

if TYPE_CHECKING:
    from engine.store import Namespace, Store

log = logging.getLogger(__name__)

NUMERICS = 2
"""Raise it when a change makes other KV for the same tokens (DESIGN: part of the namespace)."""


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
        namespace = self.namespace_of(plan) if self.store is not None else None
        filling = Filling(self.model, self.policy, tokens, plan, self.store, namespace, cancel, on_progress)
        return filling.context(save=save)

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
