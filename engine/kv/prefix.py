"""Prefix: the kept KV of a context as attention reads it, for any number of questions behind it."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from engine.kv.cache import KVCache
from engine.kv.host_cache import PAGE, HostCache
from kernels import Pages, decode_attention, prefix_attention, select_keys

PAGES = 128
"""Pages that one step reads per KV head of a prefix in host memory: 8,192 keys."""
RECENT = 4
"""Last pages of the prefix that are always read; the first page, with the sinks, always is too."""


Keys = tuple[int, int]


class Prefix(Protocol):
    """Keys and values that every question reads and none changes."""

    @property
    def length(self) -> int:
        """Tokens that it holds."""
        ...

    def attend(
        self, layer: int, q: Tensor, scale: float | None, mass_block: int | None = None, keys: Keys | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Attention of q [B, H, T, D], all behind the prefix: (out like q, lse [B, H, T], mass or None).

        mass [B, H, T, blocks]: each query's share of this attention per block of so many keys. `keys` (first, behind
        the last) limits it to some of them.
        """
        ...


class ResidentPrefix:
    """A prefix on the device: read once for all questions."""

    def __init__(self, cache: KVCache) -> None:
        self.length = cache.length
        self._layers = [cache.layer(i) for i in range(len(cache.layers))]

    def attend(
        self, layer: int, q: Tensor, scale: float | None, mass_block: int | None = None, keys: Keys | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As Prefix.attend."""
        first, last = keys or (0, self.length)
        k, v = (x[:, :, first:last] for x in self._layers[layer])
        return prefix_attention(q, k, v, scale=scale, mass_block=mass_block)


class HostPrefix:
    """A prefix in host memory: the pages whose mean key suits the question best are read where they are.

    The first page and the last RECENT ones are always among the `pages` read per KV head. Queries of one sequence share
    their pages. Page means rank pages as in Quest (arXiv 2406.10774) and InfLLM (arXiv 2402.04617).
    """

    def __init__(self, cache: HostCache, *, pages: int = PAGES) -> None:
        self.length = cache.length
        self._kept, self._pages = cache.kept, pages
        self._lens: dict[tuple[int, int], Tensor] = {}

    def attend(
        self, layer: int, q: Tensor, scale: float | None, mass_block: int | None = None, keys: Keys | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As Prefix.attend, over the pages chosen; `keys` are whole pages."""
        kept, batch = self._kept[layer], q.shape[0]
        _, last = keys or (0, self.length)
        if (batch, last) not in self._lens:
            self._lens[batch, last] = torch.full((batch,), last, dtype=torch.int32, device=q.device)
        used = -(-last // PAGE)
        whole = slice(0, used * PAGE)
        return decode_attention(
            q,
            kept.keys[:, :, whole].expand(batch, -1, -1, -1),
            kept.values[:, :, whole].expand(batch, -1, -1, -1),
            scale=scale,
            causal=False,
            kv_lens=self._lens[batch, last],
            pages=self.choose(layer, q, scale, keys),
            k_scale=kept.key_scales[:, :, :used].expand(batch, -1, -1),
            v_scale=kept.value_scales[:, :, :used].expand(batch, -1, -1),
            mass_block=mass_block,
        )

    def choose(self, layer: int, q: Tensor, scale: float | None, keys: Keys | None = None) -> Pages:
        """The pages that q's heads and tokens together would read most, per sequence and KV head."""
        first, last = keys or (0, self.length)
        offset, used = first // PAGE, -(-last // PAGE)
        means = self._kept[layer].means[:, :, offset:used]
        batch, _, tokens, dim = q.shape
        rows = q.reshape(batch, means.shape[1], -1, tokens, dim).flatten(2, 3)  # [B, Hkv, group * T, D]
        scores = (rows @ means.transpose(-1, -2)).float() * (dim**-0.5 if scale is None else scale)
        shares = scores.softmax(-1).amax(2)
        place = torch.arange(offset, used, device=q.device)
        forced = (place < 1) | (place >= -(-self.length // PAGE) - RECENT)
        places, counts = select_keys(shares, count=min(self._pages, used - offset), forced=forced)
        most = min(self._pages + RECENT + 1, used - offset)
        return Pages(places[..., :most].contiguous() + offset, counts.clamp_max(most), PAGE)
