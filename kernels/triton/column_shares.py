# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""What each chosen column holds of each sampled query's attention: one small product per tile of both."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.problem import check_columns
from kernels.triton.launch import precision


@triton.jit(do_not_specialize=["heads", "group", "rows", "parts", "capacity"])
def column_shares_kernel(
    q, k, positions, logs, columns, counts, out,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    heads, group, rows, parts, capacity, factor,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """BLOCK_M sampled queries against BLOCK_N columns of one head: out float32 [B, H, parts, capacity]."""
    row = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    place = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    at = tl.program_id(2).to(tl.int64)
    sequence, head = at // heads, at % heads
    dim = tl.arange(0, BLOCK_D)
    inside_d = (dim < HEAD_DIM)[None, :]
    live = row < rows
    used = place < tl.load(counts + at)
    key = tl.load(columns + at * capacity + place, mask=used, other=0)
    queries = tl.load(
        q + sequence * stride_qb + head * stride_qh + row.to(tl.int64)[:, None] * stride_qt + dim[None, :],
        mask=live[:, None] & inside_d, other=0.0,
    )  # fmt: skip
    keys = tl.load(
        k + sequence * stride_kb + (head // group) * stride_kh + key.to(tl.int64)[:, None] * stride_kt + dim[None, :],
        mask=used[:, None] & inside_d, other=0.0,
    )  # fmt: skip
    position = tl.load(positions + row, mask=live, other=-1)
    log = tl.load(logs + at * rows + row, mask=live, other=float("inf"))
    s = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * factor
    seen = used[None, :] & (key[None, :] <= position[:, None])
    share = tl.where(seen, tl.math.exp2(s - log[:, None]), 0.0)
    part = tl.program_id(0) * (BLOCK_M // PER) + tl.arange(0, BLOCK_M // PER)
    tl.store(
        out + (at * parts + part.to(tl.int64)[:, None]) * capacity + place[None, :],
        tl.sum(tl.reshape(share, (BLOCK_M // PER, PER, BLOCK_N)), 1),
        mask=(part < parts)[:, None] & (place < capacity)[None, :],
    )


def column_shares(
    q: Tensor, k: Tensor, positions: Tensor, lse: Tensor, columns: Tensor, counts: Tensor, *, per: int = 1,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """As kernels.dispatch.column_shares, on a device that Triton compiles for (or its interpreter)."""
    sizes = check_columns(q, k, positions, columns, counts, scale, per=per)
    parts, capacity = triton.cdiv(sizes.q_len, per), columns.shape[-1]
    out = torch.empty((sizes.batch, sizes.heads, parts, capacity), dtype=torch.float32, device=q.device)
    if out.numel() == 0:
        return out
    block_m, block_n = (32, 32) if q.element_size() >= 4 else (64, 64)
    grid = (triton.cdiv(sizes.q_len, block_m), triton.cdiv(capacity, block_n), sizes.batch * sizes.heads)
    column_shares_kernel[grid](
        q, k, positions, (lse * 1.4426950408889634).contiguous(), columns.contiguous(), counts.contiguous(), out,
        *q.stride()[:3], *k.stride()[:3], sizes.heads, sizes.group, sizes.q_len, parts, capacity,
        sizes.scale * 1.4426950408889634,
        HEAD_DIM=sizes.head_dim, BLOCK_D=triton.next_power_of_2(sizes.head_dim), BLOCK_M=block_m, BLOCK_N=block_n,
        PER=per, PRECISION=precision(q), num_warps=4,
    )  # fmt: skip
    return out
