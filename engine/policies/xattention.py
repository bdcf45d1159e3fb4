"""XAttention: blocks chosen by strided antidiagonal scores.

Source: Xu et al. (arXiv 2503.16428), §2; the first block of keys and the diagonal are always kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kernels import BlockIndex, antidiagonal_scores, select_keys

BLOCK = 128


class XAttention:
    """Per head and block of queries, the fewest key blocks that hold a share of the estimated attention."""

    name = "xattention"

    def __init__(self, stride: int = 16, threshold: float = 0.9, thresholds: Sequence[Sequence[float]] = ()) -> None:
        """`threshold` for every head, or `thresholds` [layers][heads]."""
        self.stride, self.threshold = stride, threshold
        self.thresholds = tuple(tuple(layer) for layer in thresholds)

    def parameters(self) -> dict[str, float | int | str]:
        """Stride and thresholds."""
        mass = ";".join(",".join(map(str, layer)) for layer in self.thresholds) if self.thresholds else self.threshold
        return {"stride": self.stride, "threshold": mass}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """Blocks of 128 per query head; None, every key, for a chunk that does not begin at a whole stride."""
        before = k.shape[2] - q.shape[2]
        if before % self.stride:
            return None
        scores = antidiagonal_scores(q, k, stride=self.stride, block=BLOCK)
        first = torch.arange(scores.shape[2], device=q.device) * BLOCK + before
        last = (first + BLOCK - 1).clamp_max(k.shape[2] - 1) // BLOCK
        blocks = torch.arange(scores.shape[3], device=q.device)
        forced = (blocks == 0) | ((blocks >= first.unsqueeze(-1) // BLOCK) & (blocks <= last.unsqueeze(-1)))
        mass: Tensor | float = self.threshold
        if self.thresholds:
            mass = torch.tensor(self.thresholds[layer], device=q.device).view(1, -1, 1)
        places, counts = select_keys(scores, mass=mass, forced=forced, allowed=(last + 1).int())
        return BlockIndex.from_lists(places * BLOCK, counts, q_len=q.shape[2], kv_len=k.shape[2], alignment=BLOCK)
