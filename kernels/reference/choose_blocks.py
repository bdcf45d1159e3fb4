"""Which blocks each row of queries reads beside the columns, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.problem import check_choice
from kernels.reference.select_keys import select_keys


def choose_blocks(
    scores: Tensor, held: Tensor, columns: Tensor, column_counts: Tensor, aim: Tensor, *, q_len: int, kv_len: int,
    edge: int = 128, block: int = 128, neighbours: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """As kernels.dispatch.choose_blocks."""
    check_choice(scores, held, columns, column_counts, aim, q_len, kv_len, edge, block)
    rows, n = scores.shape[2:]
    used = torch.arange(columns.shape[-1], device=scores.device) < column_counts.unsqueeze(-1)
    held = with_neighbours(held.masked_fill(~used.unsqueeze(2), 0), neighbours)
    block_of = (columns.long() // block).clamp_max(max(n - 1, 0)).unsqueeze(2).expand(held.shape)
    rest = with_neighbours(scores, neighbours).scatter_add(-1, block_of, -held).clamp_min(0)
    first = torch.arange(rows, device=scores.device) * edge + (kv_len - q_len)
    last = (first + edge).clamp_max(kv_len).sub(1) // block
    number = torch.arange(n, device=scores.device)
    rest = rest.masked_fill(number > last.unsqueeze(-1), -1)
    in_columns, in_blocks = held.sum(-1), rest.clamp_min(0).sum(-1)
    goal = aim.unsqueeze(-1) * (in_columns + in_blocks) - in_columns
    forced = (number == 0) | (number >= first.unsqueeze(-1) // block)
    places, counts = select_keys(rest, mass=(goal / in_blocks.clamp_min(1e-30)).clamp(0, 1), forced=forced)
    return places * block, counts


def with_neighbours(x: Tensor, weight: float) -> Tensor:
    """Each row of x [B, H, R, N] and `weight` times the rows before and after it (at an end, itself)."""
    before = torch.cat([x[:, :, :1], x[:, :, :-1]], 2)
    after = torch.cat([x[:, :, 1:], x[:, :, -1:]], 2)
    return x + weight * (before + after)
