"""The audit: how much attention sparse prefill kept, measured on sampled queries and not assumed.

For a query whose exact log-sum-exp is lse, sparse attention over part of the keys gives a smaller one; the share of the
attention that it kept is exp(lse_sparse - lse) (Qwen2.5-1M report, equation 4). Which queries are asked follows from
their positions, so the same tokens always give the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels import sampled_lse

QUERIES = 32
"""Queries per chunk and head whose exact attention is computed: 0.1 % of dense at 32K, less above."""


@dataclass(slots=True)
class Recall:
    """Attention kept by sparse calls so far; `low` is the worst head's mean of any call."""

    calls: int = 0
    total: float = 0.0
    low: float = 1.0
    redone: int = 0

    def add(self, kept: Tensor, redone: int = 0) -> None:
        """Count one call's kept mass per head, [H]."""
        mean, low = torch.stack([kept.mean(), kept.min()]).tolist()
        self.calls, self.total = self.calls + 1, self.total + mean
        self.low = min(self.low, low)
        self.redone += redone

    def join(self, other: Recall) -> None:
        """Count another part's calls too."""
        self.calls, self.total = self.calls + other.calls, self.total + other.total
        self.low, self.redone = min(self.low, other.low), self.redone + other.redone

    @property
    def mean(self) -> float | None:
        """Mean over calls and heads; None where every call was dense."""
        return self.total / self.calls if self.calls else None


def audited_rows(queries: int) -> range:
    """The queries of a chunk that are asked: evenly spread, off the places that estimators like (block ends)."""
    step = max(queries // QUERIES, 1)
    return range((step * 5) // 8, queries, step)[:QUERIES]


def kept_mass(q: Tensor, k: Tensor, lse: Tensor, scale: float | None = None) -> Tensor:
    """Share of the attention that a sparse call with this lse [1, H, Tq] kept: [H, audited queries].

    q [1, H, Tq, D], k [1, Hkv, Tk, D]; the queries are the last of the keys.
    """
    asked = audited_rows(q.shape[2])
    rows = torch.arange(asked.start, asked.stop, asked.step, device=q.device)
    positions = (rows + (k.shape[2] - q.shape[2])).int()
    exact = sampled_lse(q[:, :, rows], k, positions, scale=scale)
    return torch.exp(lse[:, :, rows] - exact)[0].clamp_max(1.0)
