"""The fewest unaligned key blocks that cover a head's diagonals, the same for every row but for a shift."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.errors import ArgumentError

UNUSED = 2**30
"""Fills the places behind a head's last block: above every position, so that the list stays sorted."""


def cover_diagonals(
    diagonals: Tensor, counts: Tensor | None = None, *, q_block: int, k_block: int
) -> tuple[Tensor, Tensor]:
    """Relative key starts [B, G, capacity] (int32, ascending, k_block or more apart), number used [B, G].

    Diagonal o needs, for the q_block rows from position p, the keys [p - o, p - o + q_block); greedily from
    the left, each block starts at the first needed key not covered yet, which gives the fewest blocks.
    """
    if k_block < q_block:
        raise ArgumentError("k_block", str(k_block), f"at least q_block ({q_block}) for diagonals")
    diagonals = diagonals.to(torch.int32)
    if counts is not None:
        unused = torch.arange(diagonals.shape[-1], device=diagonals.device) >= counts.unsqueeze(-1)
        diagonals = diagonals.masked_fill(unused, -UNUSED)
    if diagonals.shape[-1] == 0:
        diagonals = diagonals.new_full((*diagonals.shape[:2], 1), -UNUSED)
    needed = (-diagonals).sort(dim=-1).values.contiguous()  # leftmost key of each diagonal, ascending
    if needed.is_cuda:
        from kernels.triton.cover import cover_sorted

        result: tuple[Tensor, Tensor] = cover_sorted(needed, q_block, k_block)
        return result
    batch, groups, capacity = needed.shape
    starts = torch.full((batch * groups, capacity), UNUSED, dtype=torch.int32)
    used = torch.zeros(batch * groups, dtype=torch.int32)
    for head, lefts in enumerate(needed.view(-1, capacity).tolist()):
        chosen = _greedy(lefts, q_block, k_block)
        starts[head, : len(chosen)] = torch.tensor(chosen, dtype=torch.int32)
        used[head] = len(chosen)
    return starts.view(batch, groups, capacity), used.view(batch, groups)


def _greedy(lefts: list[int], q_block: int, k_block: int) -> list[int]:
    """The covering starts of ascending ranges [left, left + q_block)."""
    chosen: list[int] = []
    end = -UNUSED
    for left in lefts:
        if left >= UNUSED:
            break
        if left + q_block > end:
            chosen.append(max(left, end))
            end = chosen[-1] + k_block
    return chosen
