# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Where the last queries look, summed along columns and along diagonals: two passes over the keys, linear in them."""

from __future__ import annotations

from dataclasses import replace

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels import device
from kernels.problem import MOST_QUERIES, Problem, check_scores
from kernels.triton.launch import precision

BLOCK_N = 128
EXACT = 32
"""Queries, and keys, at once in float32, whose exact products take four times the shared memory."""


@triton.jit
def _scores(
    q, k, sequence, head, kv_head, start, q_len, kv_len, factor,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Scores in base 2 of all queries of one head and BLOCK_N keys; -inf where causality forbids."""
    row = tl.arange(0, BLOCK_M)
    key = start + tl.arange(0, BLOCK_N)
    dim = tl.arange(0, BLOCK_D)
    inside_d = (dim < HEAD_DIM)[None, :]
    queries = tl.load(
        q + sequence * stride_qb + head * stride_qh + row[:, None] * stride_qt + dim[None, :],
        mask=(row < q_len)[:, None] & inside_d, other=0.0,
    )  # fmt: skip
    keys = tl.load(
        k + sequence * stride_kb + kv_head * stride_kh + key.to(tl.int64)[:, None] * stride_kt + dim[None, :],
        mask=(key < kv_len)[:, None] & inside_d, other=0.0,
    )  # fmt: skip
    s = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * factor
    seen = (key[None, :] <= (row + kv_len - q_len)[:, None]) & (row < q_len)[:, None]
    return tl.where(seen, s, float("-inf"))


@triton.jit(do_not_specialize=["heads", "group", "q_len", "kv_len", "splits", "share"])
def _logs_kernel(
    q, k, logs,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    heads, group, q_len, kv_len, splits, share, factor,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """logs float32 [B, H, splits, BLOCK_M]: log2 of each query's sum of exp2(score) over one split of the keys."""
    head, split, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    for start in range(split * share, tl.minimum((split + 1) * share, kv_len), BLOCK_N):
        s = _scores(
            q, k, sequence, head.to(tl.int64), (head // group).to(tl.int64), start, q_len, kv_len, factor,
            stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
            HEAD_DIM, BLOCK_D, BLOCK_M, BLOCK_N, PRECISION,
        )  # fmt: skip
        new_top = tl.maximum(top, tl.max(s, 1))
        anchor = tl.where(new_top == float("-inf"), 0.0, new_top)
        total = total * tl.math.exp2(top - anchor) + tl.sum(tl.math.exp2(s - anchor[:, None]), 1)
        top = new_top
    log = tl.where(total > 0, top + tl.math.log2(tl.where(total > 0, total, 1.0)), float("-inf"))
    at = ((sequence * heads + head) * splits + split) * BLOCK_M + tl.arange(0, BLOCK_M)
    tl.store(logs + at, log)


@triton.jit(do_not_specialize=["heads", "group", "q_len", "kv_len"])
def _sums_kernel(
    q, k, logs, vertical, slash, part,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    heads, group, q_len, kv_len, factor,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Column sums and diagonal sums of one tile (several tiles a program were slower: fewer programs to hide waits).

    Row i is turned left by i places, so that a diagonal becomes a column: the part of it that stays in the tile goes
    to `slash`, the part that came round the edge to `slash + part`, where the next tile's share of it is not.
    """
    head, tile, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    start = tile * BLOCK_N
    s = _scores(
        q, k, sequence, head.to(tl.int64), (head // group).to(tl.int64), start, q_len, kv_len, factor,
        stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
        HEAD_DIM, BLOCK_D, BLOCK_M, BLOCK_N, PRECISION,
    )  # fmt: skip
    row = tl.arange(0, BLOCK_M)
    n = tl.arange(0, BLOCK_N)
    at = sequence * heads + head
    log = tl.load(logs + at * BLOCK_M + row, mask=row < q_len, other=float("inf"))
    p = tl.math.exp2(s - log[:, None])
    tl.store(vertical + at * kv_len + start + n, tl.sum(p, 0), mask=start + n < kv_len)
    turned = row[:, None] + n[None, :]
    lined = tl.gather(p, turned % BLOCK_N, axis=1)
    stays = turned < BLOCK_N
    distance = kv_len - q_len - start - n
    tl.store(
        slash + at * kv_len + distance, tl.sum(tl.where(stays, lined, 0.0), 0),
        mask=(distance >= 0) & (distance < kv_len),
    )  # fmt: skip
    distance += BLOCK_N
    tl.store(
        slash + part + at * kv_len + distance, tl.sum(tl.where(stays, 0.0, lined), 0),
        mask=(distance >= 0) & (distance < kv_len),
    )  # fmt: skip


def last_query_scores(q: Tensor, k: Tensor, *, scale: float | None = None) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.last_query_scores, on a device that Triton compiles for (or its interpreter)."""
    sizes = check_scores(q, k, scale, most=MOST_QUERIES)
    if q.element_size() < 4 or sizes.q_len <= EXACT:
        return _sums(q, k, sizes)
    vertical, slash = (q.new_zeros((*q.shape[:2], sizes.kv_len)) for _ in range(2))
    for first in range(0, sizes.q_len, EXACT):
        last = min(first + EXACT, sizes.q_len)
        seen = sizes.kv_len - sizes.q_len + last
        part = replace(sizes, q_len=last - first, kv_len=seen)
        for sums, more in zip((vertical, slash), _sums(q[:, :, first:last], k[:, :, :seen], part), strict=True):
            sums[..., :seen] += more
    return vertical, slash


def _sums(q: Tensor, k: Tensor, sizes: Problem) -> tuple[Tensor, Tensor]:
    """Column and diagonal sums of as many queries as a program holds."""
    batch, heads, q_len, kv_len = sizes.batch, sizes.heads, sizes.q_len, sizes.kv_len
    block_n = BLOCK_N if q.element_size() < 4 else EXACT
    vertical = torch.empty((batch, heads, kv_len), dtype=torch.float32, device=q.device)
    slash = torch.zeros((2, batch, heads, kv_len), dtype=torch.float32, device=q.device)
    if q.numel() == 0:
        return vertical.zero_(), slash[0]
    block_m = max(16, triton.next_power_of_2(q_len))
    splits = max(1, min(2 * device.processors(q.device) * 4 // (heads * batch), triton.cdiv(kv_len, 4 * block_n)))
    share = triton.cdiv(triton.cdiv(kv_len, splits), block_n) * block_n
    logs = torch.empty((batch, heads, splits, block_m), dtype=torch.float32, device=q.device)
    strides = (*q.stride()[:3], *k.stride()[:3])
    factor = sizes.scale * 1.4426950408889634
    constants = {
        "HEAD_DIM": sizes.head_dim,
        "BLOCK_D": triton.next_power_of_2(sizes.head_dim),
        "BLOCK_M": block_m,
        "BLOCK_N": block_n,
        "PRECISION": precision(q),
    }
    warps = 8 if block_m > 64 or sizes.head_dim > 128 else 4
    _logs_kernel[(heads, splits, batch)](
        q, k, logs, *strides, heads, sizes.group, q_len, kv_len, splits, share, factor,
        **constants, num_warps=warps, num_stages=1 if sizes.head_dim > 128 else 2,
    )  # fmt: skip
    whole = torch.logsumexp(logs * 0.6931471805599453, dim=2) * 1.4426950408889634
    _sums_kernel[(heads, triton.cdiv(kv_len, block_n), batch)](
        q, k, whole, vertical, slash, batch * heads * kv_len, *strides, heads, sizes.group, q_len, kv_len, factor,
        **constants, num_warps=warps, num_stages=1,
    )  # fmt: skip
    return vertical, slash[0] + slash[1]
