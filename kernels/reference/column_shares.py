"""What each chosen column holds of each sampled query's attention, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.problem import check_columns


def column_shares(
    q: Tensor, k: Tensor, positions: Tensor, lse: Tensor, columns: Tensor, counts: Tensor, *, per: int = 1,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """As kernels.dispatch.column_shares."""
    sizes = check_columns(q, k, positions, columns, counts, scale, per=per)
    sequence = torch.arange(sizes.batch, device=q.device).view(-1, 1, 1)
    head = torch.arange(sizes.heads, device=q.device).view(1, -1, 1)
    chosen = k[sequence, head // sizes.group, columns.clamp_max(sizes.kv_len - 1).long()]  # [B, H, C, D]
    scores = (q @ chosen.transpose(-1, -2)).float() * sizes.scale
    used = torch.arange(columns.shape[-1], device=q.device) < counts.unsqueeze(-1)
    seen = used.unsqueeze(2) & (columns.unsqueeze(2) <= positions.view(-1, 1))
    shares = torch.exp(scores - lse.unsqueeze(-1)).masked_fill(~seen, 0)
    shares = torch.nn.functional.pad(shares, (0, 0, 0, -sizes.q_len % per))
    return shares.view(*q.shape[:2], -1, per, columns.shape[-1]).sum(3)
