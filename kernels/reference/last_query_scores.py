"""Where the last queries look, summed along columns and along diagonals, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.problem import MOST_QUERIES, check_scores
from kernels.reference.dense_attention import visible_pairs


def last_query_scores(q: Tensor, k: Tensor, *, scale: float | None = None) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.last_query_scores; q times all keys is held in memory."""
    sizes = check_scores(q, k, scale, most=MOST_QUERIES)
    last, keys = sizes.q_len, sizes.kv_len
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    expanded = k.to(compute).repeat_interleave(sizes.group, dim=1)
    scores = q.to(compute) @ expanded.transpose(-1, -2) * sizes.scale
    weights = torch.softmax(scores.masked_fill(~visible_pairs(q, k), -torch.inf), dim=-1)
    # with keys in reverse order the diagonals are antidiagonals: rows one place shorter line them up
    reverse = torch.nn.functional.pad(weights.flip(-1), (0, last)).flatten(2)
    lined = reverse[..., : last * (keys + last - 1)].reshape(*weights.shape[:2], last, keys + last - 1)
    return weights.sum(2).float(), lined.sum(2)[..., last - 1 :].float()
