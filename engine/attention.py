"""Our attention inside transformers' models: registered once, it asks the active policy and calls the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(slots=True)
class Attending:
    """The policy in force, how much attention was computed under it, and how much of it was kept."""

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


_active: ContextVar[Attending | None] = ContextVar("omnibus_attending", default=None)


@contextmanager
def attending(policy: Policy, *, audited: bool = True) -> Iterator[Attending]:
    """Use `policy` for every attention call in the block, and count what it kept."""
    state = Attending(policy, audited)
    token = _active.set(state)
    try:
        yield state
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
    """transformers' attention signature: q [1, H, Tq, D], k and v [1, Hkv, Tk, D] -> out [1, Tq, H, D].

    Causality is bottom-right, so no mask is read. Raises NotImplementedError for what would change the scores beyond
    that: capped logits and learned sinks.
    """
    beyond = [name for name in ("softcap", "s_aux") if kwargs.get(name) is not None]
    if beyond:
        raise NotImplementedError(f"attention with {beyond[0]}")
    state = _active.get()
    layer = int(getattr(module, "layer_idx", 0))
    index = None if state is None or query.shape[2] == 1 else state.policy.index(layer, query, key)
    if index is None or state is None:
        out, _ = dense_attention(query, key, value, scale=scaling)
    else:
        out, lse = sparse_attention(query, key, value, index, scale=scaling)
        if state.audited:
            review(state, query, key, value, out, lse, scaling)
    if state is not None:
        state.count(query, key, 1.0 if index is None else computed_share(index))
    return out.transpose(1, 2), None


def review(state: Attending, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scale: float | None) -> None:
    """Measure what each head kept; heads that missed auto's target are done again in place, in whole KV groups."""
    kept = kept_mass(q, k, lse, scale).mean(-1)
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
            out[:, heads], _ = dense_attention(*some, scale=scale)
            kept[heads] = 1.0
            state.count_again(some[0], some[1], 1.0, q.shape[1])
            break
        index = state.policy.again(heads, kept[heads])
        out[:, heads], better = sparse_attention(*some, index, scale=scale)
        kept[heads] = kept_mass(some[0], some[1], better, scale).mean(-1)
        state.count_again(some[0], some[1], computed_share(index), q.shape[1])
    state.recall.add(kept, redone)


def register() -> None:
    """Make attn_implementation="omnibus" known to transformers."""
    AttentionInterface.register(NAME, attention)
