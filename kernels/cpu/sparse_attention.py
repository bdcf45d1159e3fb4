"""Sparse attention on a CPU: per head group and query block, only the chosen keys are gathered and computed."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.cpu.dense_attention import flash
from kernels.fp8 import dequantize
from kernels.index import BlockIndex
from kernels.problem import Problem, check


def sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    index: BlockIndex,
    *,
    scale: float | None = None,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As kernels.reference.sparse_attention; the time falls with the index's density."""
    sizes = check(q, k, v, scale=scale, index=index, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale)
    k, v = dequantize(k, k_scale, q.dtype), dequantize(v, v_scale, q.dtype)
    out, lse = torch.zeros_like(q), torch.full(q.shape[:3], -torch.inf)
    for b in range(sizes.batch):
        queries = sizes.q_len if q_lens is None else int(q_lens[b])
        keys = sizes.kv_len if kv_lens is None else int(kv_lens[b])
        _sequence(q[b, :, :queries], k[b, :, :keys], v[b, :, :keys], index, b % index.batch, sizes, out[b], lse[b])
    return out, lse


def _sequence(
    q: Tensor, k: Tensor, v: Tensor, index: BlockIndex, b: int, sizes: Problem, out: Tensor, lse: Tensor
) -> None:
    """One sequence: q [H, Tq, D], k and v [Hkv, Tk, D], results into out [H, .., D] and lse [H, ..]."""
    before = k.shape[1] - q.shape[1]
    span = torch.arange(index.k_block)
    for kv_head in range(sizes.kv_heads):
        for heads, group in _head_groups(index, kv_head, sizes):
            columns = index.columns[b, group, : int(index.column_counts[b, group])]
            rows = zip(index.offsets[b, group].tolist(), index.counts[b, group].tolist(), strict=True)
            for r, (offset, count) in enumerate(rows):
                queries = slice(r * index.q_block, min((r + 1) * index.q_block, q.shape[1]))
                if queries.start >= q.shape[1]:
                    break
                starts = index.blocks[offset : offset + count] + index.shifts[b, group, r]
                keys = _keys(starts, columns, span, first=0, last=before + queries.stop - 1)
                if keys.numel():
                    block = q[heads, queries]
                    o, s = _row(block, k[kv_head], v[kv_head], keys, before + queries.start, sizes.scale)
                    out[heads, queries], lse[heads, queries] = o, s


def _head_groups(index: BlockIndex, kv_head: int, sizes: Problem) -> list[tuple[slice, int]]:
    """The runs of query heads over one KV head that share their lists, each with its group in the index."""
    first = kv_head * sizes.group
    if index.groups == sizes.heads:
        return [(slice(head, head + 1), head) for head in range(first, first + sizes.group)]
    return [(slice(first, first + sizes.group), kv_head if index.groups == sizes.kv_heads else 0)]


def _keys(starts: Tensor, columns: Tensor, span: Tensor, *, first: int, last: int) -> Tensor:
    """Key positions of one row, ascending inside blocks and inside columns, each once, within [first, last]."""
    keys = (starts.unsqueeze(-1) + span).flatten()
    if columns.numel():
        at = torch.searchsorted(starts, columns, right=True) - 1
        if starts.numel():
            columns = columns[(at < 0) | (columns >= starts[at.clamp_min(0)] + span.numel())]
        keys = torch.cat((keys, columns))
    return keys[(keys >= first) & (keys <= last)]


def _row(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, position: int, scale: float) -> tuple[Tensor, Tensor]:
    """q [heads, rows, D] from `position` on over the keys of one KV head [Tk, D]; returns out and lse of that shape."""
    heads, rows, dim = q.shape
    everyone = keys <= position
    picked_k, picked_v = k.index_select(0, keys), v.index_select(0, keys)
    if bool(everyone.all()):
        out, lse = flash(q.reshape(1, 1, -1, dim), picked_k.view(1, 1, -1, dim), picked_v.view(1, 1, -1, dim), scale)
        return out.view(heads, rows, dim), lse.view(heads, rows)
    allowed = keys <= torch.arange(position, position + rows).unsqueeze(-1)
    if bool(everyone.any()):  # then every query has a key, which torch's kernel needs
        shown_k, shown_v = (x.expand(1, heads, -1, -1) for x in (picked_k, picked_v))
        mask = torch.zeros(allowed.shape, dtype=q.dtype).masked_fill_(~allowed, -torch.inf)
        out, lse = flash(q.unsqueeze(0), shown_k, shown_v, scale, mask=mask.view(1, 1, *mask.shape))
        return out[0], lse[0]
    scores = (q.float() @ picked_k.float().T).mul_(scale).masked_fill_(~allowed, -torch.inf)
    lse = scores.logsumexp(-1)
    weights = torch.exp(scores - lse.unsqueeze(-1)).masked_fill_(~allowed, 0)
    return weights.to(q.dtype) @ picked_v, lse
