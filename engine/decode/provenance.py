"""Provenance: which blocks of the prompt the answer's tokens looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Heads = Mapping[int, Sequence[int]]
"""Query heads by layer."""


class Provenance:
    """Attention mass per block of `block` prompt tokens, summed over chosen heads and all steps.

    Heads that have nothing to fetch rest on the first token (the attention sink, arXiv 2309.17453), so the first block,
    which holds the beginning of the system's message, counts for nothing.
    """

    def __init__(self, heads: Heads, tokens: int, *, block: int = 32, batch: int = 1, device: torch.device) -> None:
        """Of a prompt of `tokens` tokens, for `batch` answers at once."""
        self.block = block
        self._heads = {layer: torch.tensor(list(some), device=device) for layer, some in heads.items() if some}
        self.mass = torch.zeros(batch, -(-tokens // block), dtype=torch.float32, device=device)

    def watches(self, layer: int) -> bool:
        """Whether this layer's attention counts."""
        return layer in self._heads

    def add(self, layer: int, mass: Tensor) -> None:
        """Count a layer's shares [B, H, T, blocks] of the whole attention."""
        self.mass += mass[:, self._heads[layer]].sum((1, 2))[:, : self.mass.shape[1]]

    def shares(self, b: int = 0) -> list[float]:
        """Sequence b's attention to the prompt per block, adding up to 1 (0 where nothing was counted)."""
        mass = self.mass[b].clone()
        mass[0] = 0
        found: list[float] = (mass / mass.sum().clamp_min(1e-30)).tolist()
        return found
