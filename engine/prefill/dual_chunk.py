"""Dual chunk attention: prompts longer than a model was trained on, no distance larger than it knows.

Positions are counted within chunks. A query reads its own chunk at true distances, the chunk before it at distances cut
off at `farthest`, and all earlier ones as if they lay one chunk back (arXiv 2402.17463; the Qwen2.5-1M report, arXiv
2501.15383, section 5). Keys stay in the cache as they were turned for their true positions: it is the queries that are
turned on by the difference, once per chunk that they read, and the parts are merged by their log-sum-exp.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from engine.kv.prefix import Prefix
from engine.prefill.attention import Attending
from kernels import dense_attention, merge_attention, rotate, sparse_attention

NEAR = 4096
"""Last keys of an earlier chunk that are read densely, so that no sparse block is cut by the chunk's end."""


class DualChunk:
    """How queries are turned for each chunk of keys; made from a model's config and its rotary embedding."""

    def __init__(self, rotary: Any, *, chunk_size: int, local_size: int, original: int) -> None:
        """Sizes in tokens; beyond `original` ones scores grow by 0.1 ln(length / original) + 1 (0: never)."""
        self.chunk, self.farthest, self._original = chunk_size - local_size, chunk_size, original
        self._rotary = rotary

    @classmethod
    def of(cls, config: Any, rotary: Any) -> DualChunk | None:
        """What the config's `dual_chunk_attention_config` asks for; None where it has none."""
        found = getattr(config, "dual_chunk_attention_config", None)
        if not found:
            return None
        return cls(
            rotary,
            chunk_size=int(found.get("chunk_size", 8192)),
            local_size=int(found.get("local_size", 1024)),
            original=int(found.get("original_max_position_embeddings", 0)),
        )

    def scale(self, q: Tensor, scale: float | None, tokens: int) -> float:
        """The factor of the scores in a prompt of so many tokens."""
        plain = q.shape[-1] ** -0.5 if scale is None else scale
        return plain * max(1.0, 0.1 * math.log(tokens / self._original) + 1) if self._original else plain

    def turned(self, q: Tensor, positions: Tensor, own: int, begin: int) -> Tensor:
        """q [B, H, T, D] at positions [B or 1, T] of the chunk from `own` on, turned for keys of that at `begin`."""
        if begin == own - self.chunk:
            target = (positions - own + self.chunk).clamp_max(self.farthest)
        else:
            target = torch.full_like(positions, min(2 * self.chunk - 1, self.farthest))
        cos, sin = self._rotary(q, position_ids=target + begin - positions)
        factor = float(self._rotary.attention_scaling)  # q has it already
        turned = q.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        rotate(turned, cos / factor, sin / factor)
        return turned.transpose(1, 2)

    def behind(
        self, prefix: Prefix, layer: int, q: Tensor, positions: Tensor, scale: float | None
    ) -> tuple[Tensor, Tensor]:
        """Attention of q [B, H, T, D] behind a prefix to the prefix: (out, lse). Its last chunk reaches on to q."""
        own = (prefix.length - 1) // self.chunk * self.chunk
        out, lse, _ = prefix.attend(layer, q, scale, keys=(own, prefix.length))
        for begin in range(0, own, self.chunk):
            part = prefix.attend(layer, self.turned(q, positions, own, begin), scale, keys=(begin, begin + self.chunk))
            out, lse = merge_attention(out, lse, part[0], part[1])
        return out, lse


class DualChunkAttending:
    """Prefill under a policy, chunk of positions by chunk; sparse wherever the policy is."""

    def __init__(self, inner: Attending, dual: DualChunk) -> None:
        self._inner, self._dual = inner, dual

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """As engine.prefill.attention.Attends; the queries are the last of the keys, which begin at position 0."""
        end, chunk = k.shape[2], self._dual.chunk
        if end <= chunk:
            return self._inner.attend(layer, q, k, v, scale)
        scale = self._dual.scale(q, scale, end)
        first, parts = end - q.shape[2], []
        while first < end:
            last = min((first // chunk + 1) * chunk, end)
            rows = slice(first - end + q.shape[2], last - end + q.shape[2])
            parts.append(self._of_one_chunk(layer, q[:, :, rows], k[:, :, :last], v[:, :, :last], scale))
            first = last
        return torch.cat([out for out, _ in parts], 2), torch.cat([lse for _, lse in parts], 2)

    def _of_one_chunk(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Queries that all stand in the chunk that the last key stands in."""
        end, chunk = k.shape[2], self._dual.chunk
        own = (end - 1) // chunk * chunk
        positions = torch.arange(end - q.shape[2], end, device=q.device)[None]
        out, lse = self._inner.attend(layer, q, k[:, :, own:], v[:, :, own:], scale)
        for begin in range(0, own, chunk):
            turned = self._dual.turned(q, positions, own, begin)
            out, lse = merge_attention(out, lse, *self._across(layer, turned, k[:, :, begin:], v[:, :, begin:], scale))
        return out, lse

    def _across(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Attention to the first chunk of these keys, all of it before the queries."""
        chunk, policy = self._dual.chunk, self._inner.policy
        with self._inner.timed("index"):
            index = policy.index(layer, q, k) if chunk > NEAR else None
        with self._inner.timed("attention"):
            if index is None:
                return dense_attention(q, k[:, :, :chunk], v[:, :, :chunk], scale=scale, causal=False)
            far = chunk - NEAR
            out, lse = sparse_attention(q, k, v, index.before(far), scale=scale)
            near = dense_attention(q, k[:, :, far:chunk], v[:, :, far:chunk], scale=scale, causal=False)
            return merge_attention(out, lse, *near)
