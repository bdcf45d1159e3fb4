"""The published methods, head by head and row by row, as their formulas say: slow, and what the policies are held to.

Every function takes q [Tq, D] and k [Tk, D] of one head (float64) and returns the attended pairs, bool [Tq, Tk],
without causality inside computed blocks (the caller applies it).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def attention(q: Tensor, k: Tensor) -> Tensor:
    """softmax(q k^T / sqrt d), bottom-right causal."""
    scores = q @ k.T / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape, dtype=torch.bool).triu(k.shape[0] - q.shape[0] + 1)
    return scores.masked_fill(later, -math.inf).softmax(-1)


def line_scores(q: Tensor, k: Tensor, last: int) -> tuple[Tensor, Tensor]:
    """Column sums and diagonal sums of the last queries' attention."""
    weights = attention(q[-last:], k)
    rows, keys = weights.shape
    slash = [weights.diagonal(keys - rows - distance).sum() for distance in range(keys)]
    return weights.sum(0), torch.stack(slash)


def minference_lines(q: Tensor, k: Tensor, columns: int, diagonals: int) -> tuple[set[int], set[int]]:
    """Algorithm 2: the columns and diagonals with the most attention of the last 64 queries, some always."""
    vertical, slash = line_scores(q, k, 64)
    vertical[:30], slash[:100] = math.inf, math.inf
    n = k.shape[0]
    return (
        set(vertical.topk(min(n, max(columns, 30))).indices.tolist()),
        set(slash.topk(min(n, max(diagonals, 50))).indices.tolist()),
    )


def lines_mask(columns: set[int], diagonals: set[int], rows: int, keys: int) -> Tensor:
    """Exactly the pairs on these lines."""
    query = torch.arange(rows).unsqueeze(-1) + keys - rows
    key = torch.arange(keys)
    on_column = torch.isin(key, torch.tensor(sorted(columns)))
    return on_column | torch.isin(query - key, torch.tensor(sorted(diagonals)))


def streaming_mask(first: int, local: int, rows: int, keys: int) -> Tensor:
    """A-shape: the first keys and a window before each query."""
    query = torch.arange(rows).unsqueeze(-1) + keys - rows
    key = torch.arange(keys)
    return (key < first) | ((query - key < local) & (query >= key))


def xattention_mask(q: Tensor, k: Tensor, stride: int, threshold: float, block: int = 128) -> Tensor:
    """§2: antidiagonal sums, softmax over strided keys, largest blocks first until the threshold; sink and diagonal."""
    rows, keys = q.shape[0], k.shape[0]
    before = (keys - rows) // stride
    q = torch.nn.functional.pad(q, (0, 0, 0, -rows % block))
    k = torch.nn.functional.pad(k, (0, 0, 0, -keys % block))
    strided = torch.zeros(q.shape[0] // stride, k.shape[0] // stride, dtype=q.dtype)
    for i in range(stride):
        strided += q[stride - 1 - i :: stride] @ k[i::stride].T
    strided /= math.sqrt(q.shape[1]) * stride
    strided = strided.masked_fill(torch.ones_like(strided).triu(before + 1).bool(), -math.inf)
    weights = strided.softmax(-1)
    weights[-(-rows // stride) :] = 0
    edge = block // stride
    sums = weights.view(-1, edge, weights.shape[1] // edge, edge).sum((1, 3))
    keep = torch.zeros(sums.shape, dtype=torch.bool)
    for r in range(sums.shape[0]):
        position = keys - rows + r * block
        last = min(position + block - 1, keys - 1) // block
        chosen = {0, *range(position // block, last + 1)}
        held = sum(sums[r, c].item() for c in chosen)
        for c in sums[r].argsort(descending=True).tolist():
            if held >= threshold * sums[r, : last + 1].sum().item():
                break
            if c <= last and c not in chosen:
                chosen.add(c)
                held += sums[r, c].item()
        keep[r, sorted(chosen)] = True
    return _blocks_to_pairs(keep, rows, keys, block)


def flexprefill_mask(
    q: Tensor, k: Tensor, gamma: float, tau: float, least: int, block: int = 128
) -> tuple[Tensor, bool]:
    """Algorithms 1 to 4; also whether the head is query-aware."""
    rows, keys = q.shape[0], k.shape[0]
    blocks = -(-keys // block)
    vertical, slash = (x / min(rows, block) for x in line_scores(q, k, block))

    def sums(x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x, (0, -keys % block)).view(-1, block).sum(-1)

    k_means = torch.stack([part.mean(0) for part in k.split(block)])
    q_means = torch.stack([part.mean(0) for part in q.split(block)])
    estimate = (q[-block:].mean(0) @ k_means.T / math.sqrt(q.shape[1])).softmax(-1)
    exact = sums(vertical) / sums(vertical).sum()
    middle = (estimate + exact) / 2
    parts = [torch.where(x > 0, x * (x / middle).log(), 0.0).sum() for x in (estimate, exact)]
    aware = math.sqrt(max(float(sum(parts)) / 2, 0)) < tau

    def number(x: Tensor) -> int:
        if aware:
            return -(-least // block)
        within = int((x.sort(descending=True).values.cumsum(0) < gamma * x.sum()).sum())
        return max(within // block + 1, -(-least // block))

    columns = set(sums(vertical).topk(min(number(vertical), blocks)).indices.tolist()) | {0}
    diagonals = set(sums(slash).topk(min(number(slash), blocks)).indices.tolist()) | {0}
    keep = torch.zeros(q_means.shape[0], blocks, dtype=torch.bool)
    for r in range(keep.shape[0]):
        first = (keys - rows + r * block) // block
        last = min(keys - rows + (r + 1) * block - 1, keys - 1) // block
        keep[r, first : last + 1] = True
        for c in range(last + 1):
            keep[r, c] |= c in columns or (last - c) in diagonals
    if aware:
        scores = q_means @ k_means.T / math.sqrt(q.shape[1])
        scores = scores.masked_fill(torch.ones_like(scores).triu(blocks - len(q_means) + 1).bool(), -math.inf)
        flat = scores.softmax(-1).flatten()
        order = flat.argsort(descending=True)
        wanted = flat[order].cumsum(0) - flat[order] < gamma * flat.sum()
        keep.view(-1)[order[wanted]] = True
    return _blocks_to_pairs(keep, rows, keys, block), aware


def _blocks_to_pairs(keep: Tensor, rows: int, keys: int, block: int) -> Tensor:
    return keep.repeat_interleave(block, 0)[:rows].repeat_interleave(block, 1)[:, :keys]
