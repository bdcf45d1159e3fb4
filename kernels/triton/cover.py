# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Greedy cover of sorted ranges by key blocks, one program per head."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.cover import UNUSED


@triton.jit
def _cover_kernel(lefts, starts, used, capacity, Q_BLOCK: tl.constexpr, K_BLOCK: tl.constexpr, UNUSED: tl.constexpr):
    """Reads ascending range starts [heads, capacity]; writes the block starts that cover [left, left + Q_BLOCK)."""
    head = tl.program_id(0).to(tl.int64)
    end = tl.full((), -UNUSED, tl.int32)
    count = tl.full((), 0, tl.int32)
    for i in range(capacity):
        left = tl.load(lefts + head * capacity + i)
        if (left < UNUSED) & (left + Q_BLOCK > end):
            start = tl.maximum(left, end)
            tl.store(starts + head * capacity + count, start)
            end = start + K_BLOCK
            count += 1
    tl.store(used + head, count)


def cover_sorted(lefts: Tensor, q_block: int, k_block: int) -> tuple[Tensor, Tensor]:
    """Block starts [B, G, capacity] and their number [B, G] for ascending range starts [B, G, capacity] (int32)."""
    batch, groups, capacity = lefts.shape
    starts = torch.full_like(lefts, UNUSED)
    used = lefts.new_empty((batch, groups))
    _cover_kernel[(batch * groups,)](lefts, starts, used, capacity, q_block, k_block, UNUSED, num_warps=1)
    return starts, used
