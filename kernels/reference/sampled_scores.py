"""Exact attention of sampled queries, summed per block of keys, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.problem import check_samples

ROWS = 128
"""Sampled queries whose scores are held at once."""


def sampled_scores(
    q: Tensor, k: Tensor, positions: Tensor, *, block: int = 128, per: int = 1, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.sampled_scores."""
    sizes = check_samples(q, k, positions, scale, block=block, per=per)
    blocks = -(-sizes.kv_len // block)
    sums = torch.zeros((*q.shape[:3], blocks), dtype=torch.float32, device=q.device)
    lse = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    for first in range(0, sizes.q_len, ROWS):
        rows = slice(first, first + ROWS)
        scores = _scores(q[:, :, rows], k, positions[rows], sizes.scale)
        lse[:, :, rows] = scores.logsumexp(-1)
        weights = torch.nn.functional.pad(scores.softmax(-1), (0, -sizes.kv_len % block))
        sums[:, :, rows] = weights.view(*weights.shape[:-1], blocks, block).sum(-1).float()
    whole = torch.nn.functional.pad(sums, (0, 0, 0, -sizes.q_len % per))
    return whole.view(*q.shape[:2], -1, per, blocks).sum(3), lse


def sampled_lse(q: Tensor, k: Tensor, positions: Tensor, *, scale: float | None = None) -> Tensor:
    """As kernels.dispatch.sampled_lse."""
    sizes = check_samples(q, k, positions, scale)
    parts = [
        _scores(q[:, :, first : first + ROWS], k, positions[first : first + ROWS], sizes.scale).logsumexp(-1)
        for first in range(0, sizes.q_len, ROWS)
    ]
    return torch.cat(parts, dim=2).float() if parts else torch.empty(q.shape[:3], device=q.device)


def _scores(q: Tensor, k: Tensor, positions: Tensor, scale: float) -> Tensor:
    """Scores [B, H, rows, Tk], -inf behind each query's position."""
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    batch, heads, rows, dim = q.shape
    grouped = q.reshape(batch, k.shape[1], -1, dim)  # the heads of a group are just more rows over their KV head
    scores = (grouped @ k.transpose(-1, -2)).view(batch, heads, rows, -1).to(compute) * scale
    later = torch.arange(k.shape[2], device=q.device) > positions.unsqueeze(-1)
    return scores.masked_fill(later, -torch.inf)
