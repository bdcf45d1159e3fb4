"""Our attention inside transformers' models: registered once, it asks the active policy and calls the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface

from engine.policies.base import Policy
from engine.policies.dense import Dense
from kernels import dense_attention, sparse_attention

NAME = "omnibus"


@dataclass(slots=True)
class Attending:
    """The policy in force, and how many of the (query, key) pairs were computed under it."""

    policy: Policy
    pairs: int = 0
    computed: float = 0.0

    @property
    def density(self) -> float | None:
        """Share of the causal pairs that were computed; None before any attention ran."""
        return self.computed / self.pairs if self.pairs else None


_active: ContextVar[Attending | None] = ContextVar("omnibus_attending", default=None)
_DENSE = Dense()


@contextmanager
def attending(policy: Policy) -> Iterator[Attending]:
    """Use `policy` for every attention call in the block, and count what it kept."""
    state = Attending(policy)
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
    if index is None:
        out, _ = dense_attention(query, key, value, scale=scaling)
    else:
        out, _ = sparse_attention(query, key, value, index, scale=scaling)
    if state is not None:
        pairs = query.shape[2] * (2 * key.shape[2] - query.shape[2] + 1) // 2
        state.pairs += pairs
        state.computed += pairs * (1.0 if index is None else index.density())
    return out.transpose(1, 2), None


def register() -> None:
    """Make attn_implementation="omnibus" known to transformers."""
    AttentionInterface.register(NAME, attention)
