"""How many (query, key) pairs an index attends to: exact, each pair once; and quickly, as the kernels compute them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from kernels.index import BlockIndex

_CHUNK = 1 << 22


def computed_share(index: BlockIndex) -> Tensor:
    """About the share of the causal pairs that the kernels compute, a number on the device; waits for nothing.

    Diagonal blocks count half, keys that are both a column and in a block twice.
    """
    return computed_shares(index).mean()


def computed_shares(index: BlockIndex) -> Tensor:
    """The same for each of the index's groups of heads, [groups]."""
    pairs = index.q_len * (2 * index.kv_len - index.q_len + 1) / 2
    blocks = index.counts.sum((0, 2), dtype=torch.float32) * (index.q_block * index.k_block)
    diagonal = index.batch * index.rows * index.q_block * min(index.q_block, index.k_block) / 2
    columns = index.column_counts.sum(0, dtype=torch.float32) * index.q_len
    return ((blocks - diagonal + columns) / (pairs * index.batch)).clamp(0.0, 1.0)


def attended_pairs(index: BlockIndex) -> int:
    """Pairs under the causal boundary that some block or column of the index covers."""
    if index.rows == 0:
        return 0
    device = index.device
    begin = torch.arange(0, index.q_len, index.q_block, device=device, dtype=torch.int64) + index.kv_len - index.q_len
    end = (begin + index.q_block).clamp_max(index.kv_len)
    total = 0
    for b in range(index.batch):
        for g in range(index.groups):
            columns = index.columns[b, g, : int(index.column_counts[b, g])].long()
            counts = index.counts[b, g].long()
            step = max(1, _CHUNK // max(int(counts.max()), columns.numel(), 1))
            for lo in range(0, index.rows, step):
                rows = slice(lo, lo + step)
                total += _rows(index, b, g, rows, begin[rows], end[rows], columns)
    return total


def _rows(index: BlockIndex, b: int, g: int, rows: slice, begin: Tensor, end: Tensor, columns: Tensor) -> int:
    """Pairs of some rows of one head."""
    counts = index.counts[b, g, rows].long()
    place = torch.arange(max(int(counts.max()), 1), device=index.device)
    live = place < counts.unsqueeze(-1)
    entry = (index.offsets[b, g, rows].long().unsqueeze(-1) + place).clamp_max(max(index.blocks.numel() - 1, 0))
    starts = index.blocks[entry].long() if index.blocks.numel() else torch.zeros_like(entry)
    starts = torch.where(live, starts + index.shifts[b, g, rows].long().unsqueeze(-1), 1 << 40)
    lo, hi = starts.clamp_min(0), (starts + index.k_block).clamp_min(0)
    begin, end = begin.unsqueeze(-1), end.unsqueeze(-1)
    pairs = int((_later(lo, begin, end) - _later(hi, begin, end)).sum())
    if columns.numel():
        keys = columns.expand(starts.shape[0], -1).contiguous()
        at = torch.searchsorted(starts, keys, right=True) - 1
        nearest = starts.gather(1, at.clamp_min(0))
        covered = (at >= 0) & (keys < nearest + index.k_block)
        seeing = (end - torch.maximum(keys, begin)).clamp_min(0)
        pairs += int(seeing.masked_fill(covered, 0).sum())
    return pairs


def _later(key: Tensor, begin: Tensor, end: Tensor) -> Tensor:
    """Causal pairs of queries [begin, end) with keys >= key."""
    high = (end - key).clamp_min(0)  # keys from `key` that the last query sees
    low = (begin - key).clamp_min(0)
    return (high * (high + 1) - low * (low + 1)) // 2
