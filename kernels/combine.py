"""One index for heads of different patterns."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kernels.errors import ArgumentError
from kernels.index import BlockIndex


def choose_heads(take_second: Tensor, first: BlockIndex, second: BlockIndex) -> BlockIndex:
    """The index whose group g is the second's where take_second bool [G] says so, else the first's.

    Both are for the same queries, keys, block sizes and sequences; each has G groups or one that stands for all.
    Waits for nothing. Raises ArgumentError.
    """
    for name in ("q_len", "kv_len", "q_block", "k_block", "batch"):
        if getattr(first, name) != getattr(second, name):
            raise ArgumentError("second", f"{name} {getattr(second, name)}", f"{getattr(first, name)}, as the first")
    groups = take_second.numel()
    if first.groups not in (1, groups) or second.groups not in (1, groups):
        raise ArgumentError("take_second", f"for {groups} heads", f"for {first.groups} or {second.groups}")
    wide = max(first.columns.shape[-1], second.columns.shape[-1])

    def pick(a: Tensor, b: Tensor) -> Tensor:
        shape = (first.batch, groups, *a.shape[2:])
        second_here = take_second.view(1, -1, *(1 for _ in a.shape[2:]))
        return torch.where(second_here, b.expand(shape), a.expand(shape)).contiguous()

    def padded(index: BlockIndex) -> Tensor:
        return torch.nn.functional.pad(index.columns, (0, wide - index.columns.shape[-1]), value=index.kv_len)

    return BlockIndex(
        first.q_len,
        first.kv_len,
        first.q_block,
        first.k_block,
        pick(first.offsets, second.offsets + first.blocks.numel()),
        pick(first.counts, second.counts),
        pick(first.shifts, second.shifts),
        torch.cat([first.blocks, second.blocks]),
        pick(padded(first), padded(second)),
        pick(first.column_counts, second.column_counts),
        math.gcd(first.alignment, second.alignment),
    )
