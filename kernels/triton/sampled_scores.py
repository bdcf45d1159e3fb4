# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Exact attention of sampled queries in one pass over the keys: flash attention whose values are sums per block.

A program holds BLOCK_M sampled queries of one head and streams the keys; per block of keys it keeps the sum relative to
the highest score so far, which `finish_kernel` brings to the row's softmax.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels import device
from kernels.problem import Problem, check_samples
from kernels.triton.launch import precision


@triton.jit(
    do_not_specialize=["heads", "group", "row_tiles", "rows", "kv_len", "n_blocks", "n_tiles", "splits", "share"]
)
def sampled_sums_kernel(
    q, k, positions, sums, tops, logs,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    heads, group, row_tiles, rows, kv_len, n_blocks, n_tiles, splits, share, factor,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK: tl.constexpr, SUMS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """q [B, H, rows, D] at ascending positions -> sums [B, H, rows, n_blocks] of exp2(score - top of the tile).

    Each split takes `share` tiles of keys; tops are its own, and logs [B, H, splits, rows] are of its keys only.
    """
    program = tl.program_id(0)
    split = tl.program_id(1)
    head = program % heads
    tile = row_tiles - 1 - (program // heads) % row_tiles  # the longest rows first
    sequence = (program // (heads * row_tiles)).to(tl.int64)
    row = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    live = row < rows
    dim = tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    inside_d = dim < HEAD_DIM
    position = tl.load(positions + row, mask=live, other=-1)
    queries = tl.load(
        q + sequence * stride_qb + head.to(tl.int64) * stride_qh + row.to(tl.int64)[:, None] * stride_qt + dim[None, :],
        mask=live[:, None] & inside_d[None, :], other=0.0,
    )  # fmt: skip
    k_base = k + sequence * stride_kb + (head // group).to(tl.int64) * stride_kh
    line = (sequence * heads + head) * rows + row
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    last = tl.max(position, 0)
    full = (tl.min(tl.where(live, position, 2**30), 0) + 1) // BLOCK_N
    for j in range(split * share, tl.minimum((split + 1) * share, last // BLOCK_N + 1)):
        key = j * BLOCK_N + n
        keys = tl.load(
            k_base + key.to(tl.int64)[:, None] * stride_kt + dim[None, :],
            mask=(key < kv_len)[:, None] & inside_d[None, :], other=0.0,
        )  # fmt: skip
        s = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * factor
        if j >= full:
            s = tl.where(key[None, :] <= position[:, None], s, float("-inf"))
        new_top = tl.maximum(top, tl.max(s, 1))
        anchor = tl.where(new_top == float("-inf"), 0.0, new_top)
        p = tl.math.exp2(s - anchor[:, None])
        here = tl.sum(tl.reshape(p, (BLOCK_M, BLOCK_N // BLOCK, BLOCK)), 2)
        total = total * tl.math.exp2(top - anchor) + tl.sum(here, 1)
        top = new_top
        if SUMS:
            block = j * (BLOCK_N // BLOCK) + tl.arange(0, BLOCK_N // BLOCK)
            tl.store(
                sums + line[:, None] * n_blocks + block[None, :], here.to(sums.dtype.element_ty),
                mask=live[:, None] & (block < n_blocks)[None, :],
            )  # fmt: skip
            tl.store(tops + line * n_tiles + j, top, mask=live)
    log = tl.where(total > 0, top + tl.math.log2(tl.where(total > 0, total, 1.0)), float("-inf"))
    tl.store(logs + ((sequence * heads + head) * splits + split) * rows + row, log, mask=live)


@triton.jit(do_not_specialize=["rows", "n_blocks", "n_tiles", "groups"])
def finish_kernel(
    sums, tops, logs, positions, out, rows, n_blocks, n_tiles, groups,
    PER: tl.constexpr, PER_POWER: tl.constexpr, PER_TILE: tl.constexpr, BLOCK_N: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """The softmax's block sums, added up over PER sampled queries: out float32 [B * H, groups, n_blocks]."""
    part = tl.program_id(0)
    head = tl.program_id(1).to(tl.int64)
    member = tl.arange(0, PER_POWER)
    row = part * PER + member
    live = (member < PER) & (row < rows)
    line = head * rows + row
    log = tl.load(logs + line, mask=live, other=float("inf"))
    tiles = tl.load(positions + row, mask=live, other=-1) // BLOCK_N  # the last tile that was written
    for start in range(0, n_blocks, TILE):
        block = start + tl.arange(0, TILE)
        tile = block // PER_TILE
        there = live[:, None] & (tile[None, :] <= tiles[:, None]) & (block < n_blocks)[None, :]
        share = tl.load(sums + line[:, None] * n_blocks + block[None, :], mask=there, other=0.0).to(tl.float32)
        top = tl.load(tops + line[:, None] * n_tiles + tile[None, :], mask=there, other=float("-inf"))
        share = tl.where(there & (top > float("-inf")), share * tl.math.exp2(top - log[:, None]), 0.0)
        tl.store(out + (head * groups + part) * n_blocks + block, tl.sum(share, 0), mask=block < n_blocks)


def sampled_scores(
    q: Tensor, k: Tensor, positions: Tensor, *, block: int = 128, per: int = 1, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.sampled_scores, on a device that Triton compiles for (or its interpreter)."""
    sizes = check_samples(q, k, positions, scale, block=block, per=per)
    rows, n_blocks = sizes.q_len, triton.cdiv(sizes.kv_len, block)
    groups = triton.cdiv(rows, per)
    heads = (sizes.batch, sizes.heads)
    exact = q.element_size() >= 4
    out = torch.empty((*heads, groups, n_blocks), dtype=torch.float32, device=q.device)
    if q.numel() == 0:
        return out, torch.empty((*heads, rows), dtype=torch.float32, device=q.device)
    block_m = min(32 if exact or sizes.head_dim > 128 else 64, max(16, triton.next_power_of_2(rows)))
    block_n = block if block >= 64 or exact else 64
    n_tiles = triton.cdiv(sizes.kv_len, block_n)
    sums = torch.empty((*heads, rows, n_blocks), dtype=torch.float32 if exact else torch.float16, device=q.device)
    tops = torch.empty((*heads, rows, n_tiles), dtype=torch.float32, device=q.device)
    logs = _pass(q, k, positions, sizes, sums, tops, block_m, block_n, block)
    finish_kernel[(groups, sizes.heads * sizes.batch)](
        sums, tops, logs, positions, out, rows, n_blocks, n_tiles, groups,
        PER=per, PER_POWER=triton.next_power_of_2(per), PER_TILE=block_n // block, BLOCK_N=block_n,
        TILE=max(16, min(512, triton.next_power_of_2(n_blocks))), num_warps=4,
    )  # fmt: skip
    return out, logs * 0.6931471805599453


def sampled_lse(q: Tensor, k: Tensor, positions: Tensor, *, scale: float | None = None) -> Tensor:
    """As kernels.dispatch.sampled_lse, on a device that Triton compiles for (or its interpreter)."""
    sizes = check_samples(q, k, positions, scale)
    if q.numel() == 0:
        return torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    exact = q.element_size() >= 4
    block_m = min(32 if exact or sizes.head_dim > 128 else 64, max(16, triton.next_power_of_2(sizes.q_len)))
    block_n = 32 if exact else 64
    return _pass(q, k, positions, sizes, None, None, block_m, block_n, block_n) * 0.6931471805599453


def _pass(
    q: Tensor, k: Tensor, positions: Tensor, sizes: Problem, sums: Tensor | None, tops: Tensor | None,
    block_m: int, block_n: int, block: int,
) -> Tensor:  # fmt: skip
    """The pass over all keys: fills sums and tops where given, returns the queries' lse in base 2."""
    rows, n_tiles = sizes.q_len, triton.cdiv(sizes.kv_len, block_n)
    row_tiles = triton.cdiv(rows, block_m)
    programs = row_tiles * sizes.heads * sizes.batch
    splits = max(1, min(triton.cdiv(4 * device.processors(q.device), programs), triton.cdiv(n_tiles, 8)))
    exact = q.element_size() >= 4
    logs = torch.empty((sizes.batch, sizes.heads, splits, rows), dtype=torch.float32, device=q.device)
    sampled_sums_kernel[(programs, splits)](
        q, k, positions, sums, tops, logs, *q.stride()[:3], *k.stride()[:3],
        sizes.heads, sizes.group, row_tiles, rows, sizes.kv_len, triton.cdiv(sizes.kv_len, block), n_tiles, splits,
        triton.cdiv(n_tiles, splits), sizes.scale * 1.4426950408889634,
        HEAD_DIM=sizes.head_dim, BLOCK_D=triton.next_power_of_2(sizes.head_dim), BLOCK_M=block_m, BLOCK_N=block_n,
        BLOCK=block, SUMS=sums is not None, PRECISION=precision(q), num_warps=4,
        num_stages=1 if exact else 3 if device.capability(q.device)[0] >= 9 else 2,
    )  # fmt: skip
    if splits == 1:
        return logs[:, :, 0]
    return torch.logsumexp(logs * 0.6931471805599453, dim=2) * 1.4426950408889634
