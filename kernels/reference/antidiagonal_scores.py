"""Block scores from every stride-th antidiagonal of the attention matrix, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.problem import check_scores


def antidiagonal_scores(
    q: Tensor, k: Tensor, *, stride: int = 16, block: int = 128, scale: float | None = None
) -> Tensor:
    """As kernels.dispatch.antidiagonal_scores; the strided score matrix is held in memory."""
    sizes = check_scores(q, k, scale, stride=stride, block=block)
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    queries = _strided(q.to(compute), stride, block, reverse=True)
    keys = _strided(k.to(compute), stride, block, reverse=False).repeat_interleave(sizes.group, dim=1)
    scores = queries @ keys.transpose(-1, -2) * (sizes.scale / stride)
    rows = torch.arange(queries.shape[2], device=q.device).unsqueeze(-1) + (sizes.kv_len - sizes.q_len) // stride
    columns = torch.arange(keys.shape[2], device=q.device)
    weights = torch.softmax(scores.masked_fill(columns > rows, -torch.inf), dim=-1)
    real = torch.arange(queries.shape[2], device=q.device) < -(-sizes.q_len // stride)
    weights = weights * real.unsqueeze(-1)
    edge = block // stride
    blocks = (weights.shape[2] // edge, weights.shape[3] // edge)
    return weights.view(*weights.shape[:2], blocks[0], edge, blocks[1], edge).sum((3, 5)).float()


def _strided(x: Tensor, stride: int, block: int, *, reverse: bool) -> Tensor:
    """[B, H, T, D] padded with zeros to whole blocks, `stride` tokens side by side: [B, H, T / stride, stride * D]."""
    padded = torch.nn.functional.pad(x, (0, 0, 0, -x.shape[2] % block))
    side_by_side = padded.reshape(*x.shape[:2], -1, stride, x.shape[3])
    return (side_by_side.flip(3) if reverse else side_by_side).flatten(3)
