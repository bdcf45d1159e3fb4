"""Blocks: every block of queries reads a fixed share of the blocks before it, whatever that keeps.

The blocks whose mean key scores highest for the mean query (the block-sparse pattern of MInference, arXiv 2407.02490),
with the first and the last two always among them. Its cost is known beforehand; what it keeps is for the audit to say.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels import BlockIndex, pool, pooled_scores, select_keys


class Blocks:
    """Pooled scores, a fixed share of the causal blocks."""

    name = "blocks"

    def __init__(self, density: float = 0.03, *, block: int = 128) -> None:
        """`density`: share of the causal blocks; `block`: edge of a block."""
        self.density, self.block = density, block

    def parameters(self) -> dict[str, float | int | str]:
        """The share and the block."""
        return {"density": self.density, "block": self.block}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """The best blocks per query head and block of queries."""
        scores = pooled_scores(pool(q, self.block), pool(k, self.block))
        before = k.shape[2] - q.shape[2]
        row = torch.arange(scores.shape[2], device=q.device)
        last = (row * self.block + before + self.block - 1).clamp_max(k.shape[2] - 1) // self.block
        block = torch.arange(scores.shape[3], device=q.device)
        forced = (block > last.unsqueeze(-1) - 2) | (block == 0)
        forced &= block <= last.unsqueeze(-1)
        count = ((last + 1) * self.density).ceil().clamp_min(3).int()
        places, counts = select_keys(
            scores, count=count.expand(scores.shape[:3]), forced=forced, allowed=(last + 1).int()
        )
        return BlockIndex.from_lists(
            places * self.block, counts, q_len=q.shape[2], kv_len=k.shape[2], q_block=self.block, k_block=self.block,
            alignment=self.block,
        )  # fmt: skip
