"""K and V in 8-bit floating point (e4m3) with a scale per head or per block of keys."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.errors import ArgumentError
from kernels.problem import FP8

_LARGEST = 448.0  # of e4m3fn


def quantize(x: Tensor, *, block: int | None = None) -> tuple[Tensor, Tensor]:
    """x [B, Hkv, T, D] in e4m3 and its float32 scales [B, Hkv, 1], or [B, Hkv, ceil(T / block)]: x ~ x8 * scale."""
    batch, heads, tokens, _ = x.shape
    if block is None:
        largest = x.abs().amax(dim=(2, 3)).float().view(batch, heads, 1)
    else:
        if block < 16 or block & (block - 1):
            raise ArgumentError("block", str(block), "a power of two of at least 16")
        rows = x.abs().amax(dim=3).float()
        rows = torch.nn.functional.pad(rows, (0, -tokens % block))
        largest = rows.view(batch, heads, -1, block).amax(dim=3)
    scale = (largest / _LARGEST).clamp_min(1e-12)
    return (x.float() / _per_key(scale, tokens, block)).clamp(-_LARGEST, _LARGEST).to(FP8), scale


def dequantize(x: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The values that x [B, Hkv, T, D] with scales [B, Hkv, blocks] stands for."""
    if x.dtype != FP8:
        return x
    if scale is None:
        return x.to(dtype)
    tokens, blocks = x.shape[2], scale.shape[2]
    return (x.float() * _per_key(scale, tokens, scale_block(tokens, blocks))).to(dtype)


def scale_block(tokens: int, blocks: int) -> int | None:
    """Keys per scale: the smallest power of two that makes `blocks` of them cover the tokens; None for one scale."""
    if blocks <= 1:
        return None
    size = 16
    while -(-tokens // size) > blocks:
        size *= 2
    if -(-tokens // size) != blocks:
        raise ArgumentError("scale", f"of {blocks} blocks for {tokens} keys", "ceil(keys / a power of two >= 16)")
    return size


def _per_key(scale: Tensor, tokens: int, block: int | None) -> Tensor:
    """Scales as [B, Hkv, T or 1, 1]."""
    if block is None:
        return scale.unsqueeze(-1)
    return scale.repeat_interleave(block, dim=2)[:, :, :tokens].unsqueeze(-1)
