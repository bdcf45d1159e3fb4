"""Provenance: which blocks of the prompt the answer's tokens looked at."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Provenance:
    """Attention mass per block of `block` prompt tokens, summed over the chosen layers' heads and all steps."""

    def __init__(self, layers: Iterable[int], tokens: int, *, block: int = 64, batch: int = 1, device: torch.device):
        self.layers, self.block = frozenset(layers), block
        self.mass = torch.zeros(batch, -(-tokens // block), dtype=torch.float32, device=device)

    def add(self, mass: Tensor) -> None:
        """Count one layer's shares [B, H, T, blocks] of the whole attention."""
        self.mass += mass.sum((1, 2))[:, : self.mass.shape[1]]

    def shares(self, b: int = 0) -> list[float]:
        """Sequence b's attention to the prompt per block, adding up to 1 (0 where nothing was counted)."""
        mass = self.mass[b]
        found: list[float] = (mass / mass.sum().clamp_min(1e-30)).tolist()
        return found
