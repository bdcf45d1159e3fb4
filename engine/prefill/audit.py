"""The audit: how much attention sparse prefill kept, measured on sampled queries and not assumed.

For a query whose exact log-sum-exp is lse, sparse attention over part of the keys gives a smaller one; the share of the
attention that it kept is exp(lse_sparse - lse) (Qwen2.5-1M report, equation 4). Which queries are asked follows from
their positions, so the same tokens always give the same figures.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels import sampled_lse

QUERIES = 32
"""Queries per chunk and head whose exact attention is computed: 0.1 % of dense at 32K, less above."""


class Recall:
    """Attention kept by sparse calls so far; nothing waits for the device until somebody looks."""

    def __init__(self) -> None:
        self.redone = 0
        self._kept: list[tuple[int, Tensor]] = []

    def add(self, layer: int, kept: Tensor, redone: int = 0) -> None:
        """Count one call's kept mass per head, [H]."""
        self._kept.append((layer, kept))
        self.redone += redone

    @property
    def mean(self) -> float | None:
        """Mean over calls and heads; None where every call was dense."""
        return float(torch.stack([kept.mean() for _, kept in self._kept]).mean()) if self._kept else None

    @property
    def low(self) -> float:
        """The worst head's mean of any call."""
        return float(torch.stack([kept.min() for _, kept in self._kept]).min()) if self._kept else 1.0

    @property
    def by_layer(self) -> dict[int, Tensor]:
        """Each layer's mean over its sparse calls per head, [H]; layers whose calls were all dense are not there."""
        layers = {layer for layer, _ in self._kept}
        return {i: torch.stack([kept for layer, kept in self._kept if layer == i]).mean(0) for i in layers}


def audited_rows(queries: int) -> range:
    """The queries of a chunk that are asked: evenly spread, off the places that estimators like (block ends)."""
    step = max(queries // QUERIES, 1)
    return range((step * 5) // 8, queries, step)[:QUERIES]


def kept_mass(q: Tensor, k: Tensor, lse: Tensor, scale: float | None = None) -> Tensor:
    """Share of the attention that a sparse call with this lse [1, H, Tq] kept, per head: [H].

    q [1, H, Tq, D], k [1, Hkv, Tk, D]; the queries are the last of the keys. One query's share may pass 1, for in
    bfloat16 scores are off by a percent and more either way; cut to 1 one by one they would make the mean too low.
    """
    asked = audited_rows(q.shape[2])
    rows = torch.arange(asked.start, asked.stop, asked.step, device=q.device)
    positions = (rows + (k.shape[2] - q.shape[2])).int()
    exact = sampled_lse(q[:, :, rows], k, positions, scale=scale)
    return torch.exp(lse[:, :, rows] - exact)[0].mean(-1).clamp_max(1.0)
