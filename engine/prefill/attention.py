"""Our attention inside transformers' models: registered once, what is in force decides which keys are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from engine.policies.auto import Auto
from engine.policies.base import Policy
from engine.prefill.audit import Recall, kept_mass
from engine.prefill.head_figures import HeadFigures, head_figures
from engine.prefill.stopwatch import Part, Stopwatch
from kernels import dense_attention, sparse_attention
from kernels.density import computed_shares

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
    """Prefill under a policy: how much each head computed, what it kept of its attention, and what took how long."""

    policy: Policy
    audited: bool = True
    watch: Stopwatch | None = None
    recall: Recall = field(default_factory=Recall)
    _pairs: dict[int, float] = field(default_factory=dict)
    _computed: dict[int, Tensor] = field(default_factory=dict)
    """Per layer: the causal (query, key) pairs of one head, and how many were computed per head, [H]."""

    @property
    def density(self) -> float | None:
        """Share of the causal (query, key) pairs that was computed; None before any. Waits for the device."""
        if not self._pairs:
            return None
        return float(torch.stack([made.mean() for made in self._computed.values()]).sum()) / sum(self._pairs.values())

    @property
    def heads(self) -> HeadFigures | None:
        """The figures of each head; None before any. Waits for the device."""
        return head_figures(self._pairs, self._computed, self.recall.by_layer) if self._pairs else None

    def timed(self, part: Part) -> AbstractContextManager[None]:
        """Count a block's time as that part, where somebody watches."""
        return nullcontext() if self.watch is None else self.watch.part(part)

    def count(self, layer: int, q: Tensor, k: Tensor, shares: Tensor | float) -> None:
        """Note one call that computed `shares` of its causal pairs, one number or one a group of heads."""
        pairs = _pairs(q, k)
        self._pairs[layer] = self._pairs.get(layer, 0.0) + pairs
        if layer not in self._computed:
            self._computed[layer] = torch.zeros(q.shape[1], dtype=torch.float32, device=q.device)
        self._computed[layer] += pairs * _per_head(shares, q.shape[1])

    def count_again(self, layer: int, q: Tensor, k: Tensor, shares: Tensor | float, heads: Tensor) -> None:
        """Note that these heads of a call, q's, were computed once more."""
        self._computed[layer][heads] += _pairs(q, k) * _per_head(shares, q.shape[1])

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """Attention over the keys that the policy chooses, counted and audited."""
        with self.timed("index"):
            index = None if q.shape[2] == 1 else self.policy.index(layer, q, k)
        if index is None:
            self.count(layer, q, k, 1.0)
            with self.timed("attention"):
                return dense_attention(q, k, v, scale=scale)
        self.count(layer, q, k, computed_shares(index))
        with self.timed("attention"):
            out, lse = sparse_attention(q, k, v, index, scale=scale)
        if self.audited:
            with self.timed("audit"):
                review(self, layer, q, k, v, out, lse, scale)
        return out, lse


def _pairs(q: Tensor, k: Tensor) -> float:
    """Causal (query, key) pairs of one head."""
    return q.shape[2] * (2 * k.shape[2] - q.shape[2] + 1) / 2


def _per_head(shares: Tensor | float, heads: int) -> Tensor | float:
    """Shares of groups of heads as shares of heads, [H]."""
    return shares if isinstance(shares, float) else shares.repeat_interleave(heads // shares.shape[0])


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


def review(
    state: Attending, layer: int, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scale: float | None
) -> None:
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
            state.count_again(layer, some[0], some[1], 1.0, heads)
            break
        index = state.policy.again(heads, kept[heads])
        out[:, heads], better = sparse_attention(*some, index, scale=scale)
        lse[:, heads] = better
        kept[heads] = kept_mass(some[0], some[1], better, scale)
        state.count_again(layer, some[0], some[1], computed_shares(index), heads)
    state.recall.add(layer, kept, redone)


def register() -> None:
    """Make attn_implementation="omnibus" known to transformers."""
    AttentionInterface.register(NAME, attention)
