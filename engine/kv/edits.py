"""Edits: a document in the middle changed; what stands behind it is moved to its new place and partly computed again.

Keys of rotary models are turned by R(n + m) = R(m) R(n), exactly; values do not know where they stand. But from the
second layer on both still know the old document. As in CacheBlend (arXiv 2405.16444) the first two layers' states are
computed for all tokens behind the edit, and further ones for the share of tokens whose states in the second differ most
from the old ones.

The result is an approximation: it is no state that the session store may keep, and nothing uses it unasked. Measured
(tests/benchmarks/edits.py, data/results/edits.json): behind a document whose words change a little, predictions differ
from a full prefill's hardly more than rounding makes them; behind one that is replaced 3 to 4 times as much, and
computing 15 or 40 % of the tokens anew mends little of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from engine.kv.cache import KVCache
from engine.models.layers import run_layer
from engine.prefill.attention import attending

CHOOSES = 1
"""The layer whose keys and values tell which tokens are computed further."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How many tokens stood behind the edit, how many were computed anew, and how far the others' old states were off.

    `difference` is that of their keys and values in the second layer, relative to the right ones.
    """

    reused: int
    recomputed: int
    difference: float


def turned(keys: Tensor, by: int, rotary: Any) -> Tensor:
    """Rotary keys [..., T, D] moved `by` positions; `rotary` is the decoder's rotary_emb."""
    place = torch.tensor([[by]], device=keys.device)
    cos, sin = (x[0].float() / float(rotary.attention_scaling) for x in rotary(keys.float(), position_ids=place))
    dim, wide = cos.shape[-1], keys.float()
    moving, still = wide[..., :dim], wide[..., dim:]
    half = torch.cat((-moving[..., dim // 2 :], moving[..., : dim // 2]), -1)
    return torch.cat((moving * cos + half * sin, still), -1).to(keys.dtype)


@torch.inference_mode()
def reuse(model: Any, cache: KVCache, tokens: Sequence[int], old: KVCache, behind: int, share: float) -> Audit:
    """Fill `cache`, which holds `tokens` up to the edit's end, with those behind it from `old`, a share computed anew.

    `old` holds the text before the edit; its tokens from `behind` on are the last of `tokens` too.
    """
    start, count = cache.length, old.length - behind
    decoder, total = model.decoder, start + count
    for mine, theirs in zip(cache.span(start, total), old.span(behind, old.length), strict=True):
        mine[0].copy_(turned(theirs[0], start - behind, decoder.rotary_emb))
        mine[1].copy_(theirs[1])
    cache.fill(total)
    chosen = torch.arange(start, total, device=cache.device)
    hidden: Tensor = decoder.embed_tokens(torch.tensor(tokens[start:], device=cache.device)[None])
    difference = 0.0
    for i, layer in enumerate(decoder.layers):
        some = Some(cache, chosen)
        before = [x[0, :, chosen].clone() for x in cache.layer(i)] if i == CHOOSES else []
        rotary = decoder.rotary_emb(hidden, position_ids=chosen[None])
        with attending(some):
            out = run_layer(layer, hidden, chosen[None], rotary, some)
        if i == CHOOSES:
            apart, size = _apart(before, [x[0, :, chosen] for x in cache.layer(i)])
            order = apart.argsort(descending=True)
            picked = order[: round(share * count)].sort().values
            left = order[len(picked) :]
            difference = float((apart[left].sum() / size[left].sum().clamp_min(1e-30)).sqrt()) if len(left) else 0.0
            chosen, out = chosen[picked], out[:, picked]
            if not len(picked):
                break
        hidden = out
    return Audit(count, len(chosen), difference)


class Some(Cache):  # type: ignore[misc]
    """A cache whose tokens at some positions are written anew, and what lets these see all before them."""

    def __init__(self, cache: KVCache, positions: Tensor) -> None:
        super().__init__(layers=cache.layers)
        self._cache, self._positions = cache, positions

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kw: Any) -> Any:
        """Put [1, Hkv, N, D] where they stand; all keys and values."""
        keys, values = self._cache.layer(layer_idx)
        keys[:, :, self._positions], values[:, :, self._positions] = key_states, value_states
        return keys, values

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """Attention of q [1, H, N, D], each over the keys up to its own place; lse is not known."""
        seen = torch.arange(k.shape[2], device=q.device) <= self._positions[:, None]
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, seen, scale=scale, enable_gqa=True)
        return out, out.new_empty(0)


def _apart(before: list[Tensor], after: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Squared difference and size of each token's keys and values together, [N]."""
    pairs = list(zip(before, after, strict=True))
    apart = sum((((a - b).float() ** 2).sum((0, 2)) for a, b in pairs), start=torch.zeros(()))
    size = sum(((b.float() ** 2).sum((0, 2)) for _, b in pairs), start=torch.zeros(()))
    return apart, size
