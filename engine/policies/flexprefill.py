"""FlexPrefill: each head either follows lines of blocks or asks its pooled queries, with budgets by attention mass.

Source: Lai et al. (arXiv 2502.20766), algorithms 1 to 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels import BlockIndex, last_query_scores, pool, pooled_scores, select_keys

BLOCK = 128


class FlexPrefill:
    """A head whose pooled estimate agrees with its last block of queries (sqrt of the JSD < tau) is query-aware."""

    name = "flexprefill"

    def __init__(self, gamma: float = 0.95, tau: float = 0.1, min_budget: int = 1024, max_budget: int = 0) -> None:
        """gamma: share of attention to keep; budgets in tokens, 0 for no upper one."""
        self.gamma, self.tau, self.min_budget, self.max_budget = gamma, tau, min_budget, max_budget

    def parameters(self) -> dict[str, float | int | str]:
        """gamma, tau and the budgets."""
        return {"gamma": self.gamma, "tau": self.tau, "min_budget": self.min_budget, "max_budget": self.max_budget}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """Blocks of 128 per query head; None, every key, while the least budget covers them."""
        if k.shape[2] <= max(2 * BLOCK, self.min_budget):
            return None
        keep = self.mask(q, k)
        places, counts = select_keys(keep.float(), mass=1.0)
        return BlockIndex.from_lists(places * BLOCK, counts, q_len=q.shape[2], kv_len=k.shape[2], alignment=BLOCK)

    def mask(self, q: Tensor, k: Tensor) -> Tensor:
        """Blocks to compute, bool [B, H, ceil(Tq / 128), ceil(Tk / 128)]."""
        last = q[:, :, -BLOCK:]
        vertical, slash = (sums / last.shape[2] for sums in last_query_scores(last, k))
        columns, diagonals = _block_sums(vertical), _block_sums(slash)
        estimate = pooled_scores(last.float().mean(2, keepdim=True).to(q.dtype), pool(k, BLOCK)).squeeze(2)
        aware = _divergence(estimate, columns / columns.sum(-1, keepdim=True)).sqrt() < self.tau  # [B, H]
        blocks = columns.shape[-1]
        least = -(-self.min_budget // BLOCK)
        most = -(-self.max_budget // BLOCK) if self.max_budget else blocks

        def budget(scores: Tensor) -> Tensor:
            """Blocks worth the lines that together stay within gamma; the least budget in query-aware heads."""
            lines = select_keys(scores, mass=self.gamma)[1] - 1
            return torch.where(aware, least, (lines // BLOCK + 1).clamp(least, most))

        column = _as_mask(*select_keys(columns, count=budget(vertical)))
        diagonal = _as_mask(*select_keys(diagonals, count=budget(slash)))
        row = torch.arange(-(-q.shape[2] // BLOCK), device=q.device) * BLOCK + k.shape[2] - q.shape[2]
        mine = ((row + BLOCK - 1).clamp_max(k.shape[2] - 1) // BLOCK).unsqueeze(-1)
        block = torch.arange(blocks, device=q.device)
        distance = mine - block
        keep = column.unsqueeze(2) | diagonal[:, :, distance.clamp_min(0)]
        keep = keep | (block == 0) | ((block >= row.unsqueeze(-1) // BLOCK) & (distance >= 0))
        asked = pooled_scores(pool(q, BLOCK), pool(k, BLOCK)).flatten(2)
        wanted = _as_mask(*select_keys(asked, mass=self.gamma)).view(*keep.shape)
        return (keep | (wanted & aware.view(*aware.shape, 1, 1))) & (distance >= 0)


def _block_sums(scores: Tensor) -> Tensor:
    """[B, H, N] summed per block: [B, H, ceil(N / 128)]."""
    whole = torch.nn.functional.pad(scores, (0, -scores.shape[-1] % BLOCK))
    return whole.view(*scores.shape[:-1], -1, BLOCK).sum(-1)


def _divergence(a: Tensor, b: Tensor) -> Tensor:
    """Jensen-Shannon divergence of distributions over the last dimension, in nats."""
    middle = (a + b) / 2
    first, second = (torch.where(x > 0, x * (x / middle).log(), 0.0).sum(-1) for x in (a, b))
    return ((first + second) / 2).clamp_min(0)


def _as_mask(places: Tensor, counts: Tensor) -> Tensor:
    """The first `counts` places of each row, as bool [..., N]."""
    n = places.shape[-1]
    live = torch.arange(n, device=places.device) < counts.unsqueeze(-1)
    mask = torch.zeros((*places.shape[:-1], n + 1), dtype=torch.bool, device=places.device)
    return mask.scatter_(-1, places.long().masked_fill(~live, n), True)[..., :n]
