"""How much sampled queries look at each key of some blocks, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.problem import check_samples


def column_scores(
    q: Tensor,
    k: Tensor,
    positions: Tensor,
    lse: Tensor,
    blocks: Tensor,
    *,
    block: int = 128,
    scale: float | None = None,
) -> Tensor:
    """As kernels.dispatch.column_scores, head by head."""
    sizes = check_samples(q, k, positions, scale, block=block)
    out = torch.zeros((*q.shape[:2], blocks.shape[-1] * block), dtype=torch.float32, device=q.device)
    inside = torch.arange(block, device=q.device)
    for b in range(sizes.batch):
        for h in range(sizes.heads):
            key = (blocks[b, h].long().unsqueeze(-1) * block + inside).flatten()
            keys = k[b, h // sizes.group, key.clamp_max(sizes.kv_len - 1)]
            scores = (q[b, h] @ keys.T).float() * sizes.scale - lse[b, h].unsqueeze(-1)
            out[b, h] = scores.masked_fill(key > positions.unsqueeze(-1), -torch.inf).exp().sum(0)
    return out
