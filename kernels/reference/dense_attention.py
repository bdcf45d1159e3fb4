"""Dense attention with grouped query heads, bottom-right causal, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.fp8 import dequantize
from kernels.problem import check


def dense_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    causal: bool = True,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """softmax(q k^T * scale) v over the keys each query may see, and the log of the softmax's denominator.

    q [B, H, Tq, D], k and v [B, Hkv, Tk, D]; computed in float32 (float64 for float64 inputs).
    Returns out [B, H, Tq, D] in q's dtype and lse [B, H, Tq]; a query that sees no key has out 0 and lse -inf.
    """
    check(q, k, v, causal=causal, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale)
    visible = visible_pairs(q, k, causal=causal, q_lens=q_lens, kv_lens=kv_lens)
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    return masked_attention(q, dequantize(k, k_scale, compute), dequantize(v, v_scale, compute), visible, scale)


def visible_pairs(
    q: Tensor, k: Tensor, *, causal: bool = True, q_lens: Tensor | None = None, kv_lens: Tensor | None = None
) -> Tensor:
    """Which (query, key) pairs exist, bool [B, 1, Tq, Tk]: query i of sequence b is at kv_lens[b] - q_lens[b] + i."""
    batch, q_len, kv_len = q.shape[0], q.shape[2], k.shape[2]
    queries = q_lens.view(-1, 1, 1, 1) if q_lens is not None else torch.full((batch, 1, 1, 1), q_len, device=q.device)
    keys = kv_lens.view(-1, 1, 1, 1) if kv_lens is not None else torch.full((batch, 1, 1, 1), kv_len, device=q.device)
    i = torch.arange(q_len, device=q.device).view(1, 1, -1, 1)
    j = torch.arange(kv_len, device=q.device).view(1, 1, 1, -1)
    exists = (i < queries) & (j < keys)
    return exists & (j <= i + keys - queries) if causal else exists


def masked_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """Attention over the pairs where mask (broadcast to [B, H, Tq, Tk]) is true."""
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    group = q.shape[1] // k.shape[1]
    k, v = (x.to(compute).repeat_interleave(group, dim=1) for x in (k, v))
    scores = q.to(compute) @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores.masked_fill(~mask, -torch.inf)
    lse = scores.logsumexp(dim=-1)
    weights = torch.exp(scores - lse.unsqueeze(-1)).masked_fill(~mask, 0)
    # what no query sees may hold anything, NaN included, and must not reach the output
    seen = mask.any(dim=2).expand(v.shape[0], v.shape[1], -1)
    return (weights @ v.masked_fill(~seen.unsqueeze(-1), 0)).to(q.dtype), lse.float()
