"""Block scores from the means of blocks: cheap, and blind to single keys inside a block."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.errors import ArgumentError


def pool(x: Tensor, block: int = 128) -> Tensor:
    """Means of every `block` tokens of x [B, H, T, D], the last one of what is left: [B, H, ceil(T / block), D]."""
    if block < 1:
        raise ArgumentError("block", str(block), "at least 1")
    whole = x.shape[2] // block * block
    batch, heads, _, dim = x.shape
    means = x[:, :, :whole].reshape(batch, heads, -1, block, dim).mean(3, dtype=torch.float32).to(x.dtype)
    if whole == x.shape[2]:
        return means
    return torch.cat([means, x[:, :, whole:].mean(2, keepdim=True, dtype=torch.float32).to(x.dtype)], dim=2)


def pooled_scores(q: Tensor, k: Tensor, *, scale: float | None = None) -> Tensor:
    """Attention between block means: q [B, H, R, D], k [B, Hkv, N, D] -> float32 [B, H, R, N], rows sum to 1.

    Bottom-right causal on blocks: query block r sees the key blocks up to r + N - R.
    """
    batch, heads, rows, dim = q.shape
    blocks = k.shape[2]
    grouped = q.reshape(batch, k.shape[1], -1, dim)  # the heads of a group are just more rows over their KV head
    scale = dim**-0.5 if scale is None else scale
    scores = (grouped @ k.transpose(-1, -2)).reshape(batch, heads, rows, blocks).float() * scale
    later = torch.ones(rows, blocks, dtype=torch.bool, device=q.device).triu(blocks - rows + 1)
    return torch.softmax(scores.masked_fill(later, -torch.inf), dim=-1)
