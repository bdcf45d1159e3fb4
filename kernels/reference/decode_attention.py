"""Attention of a few last queries over a long cache, with pages and attention mass, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.fp8 import dequantize
from kernels.pages import Pages
from kernels.problem import check
from kernels.reference.dense_attention import masked_attention, visible_pairs


def decode_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    causal: bool = True,
    kv_lens: Tensor | None = None,
    pages: Pages | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    mass_block: int | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As kernels.dispatch.decode_attention, computed in float32 (float64 for float64 inputs)."""
    sizes = check(q, k, v, causal=causal, kv_lens=kv_lens, pages=pages, k_scale=k_scale, v_scale=v_scale)
    visible = visible_pairs(q, k, causal=causal, kv_lens=kv_lens)
    if pages is not None:
        visible = visible & pages.to_mask(sizes.kv_len).expand(-1, sizes.kv_heads, -1).repeat_interleave(
            sizes.group, dim=1
        ).unsqueeze(2)
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    k, v = dequantize(k, k_scale, compute), dequantize(v, v_scale, compute)
    out, lse = masked_attention(q, k, v, visible, scale)
    if mass_block is None:
        return out, lse, None
    mass = attention_mass(q, k, visible, lse, sizes.scale if scale is None else scale, mass_block)
    return out, lse, mass


def attention_mass(q: Tensor, k: Tensor, visible: Tensor, lse: Tensor, scale: float, block: int) -> Tensor:
    """The share of each query's attention that falls on each block of keys: float32 [B, H, Tq, ceil(Tk / block)]."""
    keys = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores = (q.to(keys.dtype) @ keys.transpose(-1, -2) * scale).masked_fill(~visible, -torch.inf)
    shares = torch.exp(scores - lse.unsqueeze(-1)).masked_fill(~visible, 0)
    whole = torch.nn.functional.pad(shares, (0, -shares.shape[-1] % block))
    return whole.view(*whole.shape[:-1], -1, block).sum(-1).float()
