"""Our attention inside transformers' models: registered once, what is in force decides which keys are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from engine.audit import Recall, kept_mass
from engine.policies.auto import Auto
from engine.policies.base import Policy
from kernels import dense_attention, sparse_attention
from kernels.density import computed_share

NAME = "omnibus"
TRIES = 1
"""How often heads that missed the target by far are asked again; after that they are computed dense."""


class Attends(Protocol):
    """What decides which keys an attention call reads."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """Attention of q [B, H, Tq, D]; k and v [B, Hkv, Tk, D] are what the cache gave back: out, lse [B, H, Tq]."""
        ...


@dataclass(slots=True)
class Attending:
    """Prefill under a policy: how much attention was computed, and how much of it was kept."""

    policy: Policy
    audited: bool = True
    pairs: float = 0.0
    computed: list[tuple[float, Tensor | float]] = field(default_factory=list)
    recall: Recall = field(default_factory=Recall)

    @property
    def density(self) -> float | None:
        """Share of the causal (query, key) pairs that was computed; None before any. Waits for the device."""
        if not self.pairs:
            return None
        return sum(pairs * float(share) for pairs, share in self.computed) / self.pairs

    def count(self, q: Tensor, k: Tensor, share: Tensor | float) -> None:
        """Note one call that computed `share` of its causal pairs."""
        pairs = q.shape[2] * (2 * k.shape[2] - q.shape[2] + 1) / 2
        self.pairs += pairs
        self.computed.append((pairs, share))

    def count_again(self, q: Tensor, k: Tensor, share: Tensor | float, heads: int) -> None:
        """Note that q's heads, of `heads` in all, were computed once more."""
        pairs = q.shape[2] * (2 * k.shape[2] - q.shape[2] + 1) / 2
        self.computed.append((pairs * q.shape[1] / heads, share))

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """Attention over the keys that the policy chooses, counted and audited."""
        index = None if q.shape[2] == 1 else self.policy.index(layer, q, k)
        if index is None:
            self.count(q, k, 1.0)
            return dense_attention(q, k, v, scale=scale)
        out, lse = sparse_attention(q, k, v, index, scale=scale)
        if self.audited:
            review(self, q, k, v, out, lse, scale)
        self.count(q, k, computed_share(index))
        return out, lse


_active: ContextVar[Attends | None] = ContextVar("omnibus_attending", default=None)


@contextmanager
def attending(state: Attends) -> Iterator[None]:
    """Let `state` do every attention call in the block."""
    token = _active.set(state)
    try:
        yield
    finally:
        _active.reset(token)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention signature: q [B, H, Tq, D], k and v [B, Hkv, Tk, D] -> out [B, Tq, H, D].

    Causality is bottom-right, so no mask is read. Raises NotImplementedError for what would change the scores beyond
    that: capped logits and learned sinks.
    """
    beyond = [name for name in ("softcap", "s_aux") if kwargs.get(name) is not None]
    if beyond:
        raise NotImplementedError(f"attention with {beyond[0]}")
    state = _active.get()
    if state is None:
        out, _ = dense_attention(query, key, value, scale=scaling)
    else:
        out, _ = state.attend(int(getattr(module, "layer_idx", 0)), query, key, value, scaling)
    return out.transpose(1, 2), None


def review(state: Attending, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scale: float | None) -> None:
    """Measure what each head kept; heads that missed auto's target are done again in place, in whole KV groups."""
    kept = kept_mass(q, k, lse, scale)
    redone = 0
    group = q.shape[1] // k.shape[1]
    for attempt in range(TRIES + 1):
        if not isinstance(state.policy, Auto):
            break
        missed = state.policy.misses(kept).view(-1, group).any(-1).nonzero().flatten()
        if not missed.numel():
            break
        heads = (missed.unsqueeze(-1) * group + torch.arange(group, device=q.device)).flatten()
        some = q[:, heads], k[:, missed], v[:, missed]
        redone += heads.numel()
        if attempt == TRIES:
            out[:, heads], lse[:, heads] = dense_attention(*some, scale=scale)
            kept[heads] = 1.0
            state.count_again(some[0], some[1], 1.0, q.shape[1])
            break
        index = state.policy.again(heads, kept[heads])
        out[:, heads], better = sparse_attention(*some, index, scale=scale)
        lse[:, heads] = better
        kept[heads] = kept_mass(some[0], some[1], better, scale)
        state.count_again(some[0], some[1], computed_share(index), q.shape[1])
    state.recall.add(kept, redone)


def register() -> None:
    """Make attn_implementation="omnibus" known to transformers."""
    AttentionInterface.register(NAME, attention)
