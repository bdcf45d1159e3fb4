"""Attention over the pairs of a BlockIndex, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.fp8 import dequantize
from kernels.index import BlockIndex
from kernels.problem import check
from kernels.reference.dense_attention import masked_attention, visible_pairs


def sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    index: BlockIndex,
    *,
    scale: float | None = None,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As dense_attention, over the (query, key) pairs of `index` only; each pair once, however often it is covered."""
    sizes = check(q, k, v, index=index, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale)
    mask = index.to_mask(causal=False).repeat_interleave(sizes.heads // index.groups, dim=1)
    mask = mask & visible_pairs(q, k, q_lens=q_lens, kv_lens=kv_lens)
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    return masked_attention(q, dequantize(k, k_scale, compute), dequantize(v, v_scale, compute), mask, scale)
