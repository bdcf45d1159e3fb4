# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""How much sampled queries look at each key of some blocks: one short pass over these blocks alone."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.problem import check_samples
from kernels.triton.launch import precision


@triton.jit(do_not_specialize=["heads", "group", "rows", "kv_len", "slots"])
def column_scores_kernel(
    q, k, positions, logs, blocks, out,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    heads, group, rows, kv_len, slots, factor,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """BLOCK_N keys of one listed block against all sampled queries: out [B, H, slots * BLOCK]; logs in base 2."""
    head, tile, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    at = sequence * heads + head
    slot = tile * BLOCK_N // BLOCK
    inside = tile * BLOCK_N % BLOCK + tl.arange(0, BLOCK_N)
    key = tl.load(blocks + at * slots + slot) * BLOCK + inside
    dim = tl.arange(0, BLOCK_D)
    inside_d = (dim < HEAD_DIM)[None, :]
    keys = tl.load(
        k + sequence * stride_kb + (head // group).to(tl.int64) * stride_kh
        + key.to(tl.int64)[:, None] * stride_kt + dim[None, :],
        mask=(key < kv_len)[:, None] & inside_d, other=0.0,
    )  # fmt: skip
    total = tl.zeros((BLOCK_N,), tl.float32)
    for first in range(0, rows, BLOCK_M):
        row = first + tl.arange(0, BLOCK_M)
        live = row < rows
        queries = tl.load(
            q + sequence * stride_qb + head.to(tl.int64) * stride_qh
            + row.to(tl.int64)[:, None] * stride_qt + dim[None, :],
            mask=live[:, None] & inside_d, other=0.0,
        )  # fmt: skip
        position = tl.load(positions + row, mask=live, other=-1)
        log = tl.load(logs + at * rows + row, mask=live, other=float("inf"))
        s = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * factor
        p = tl.where(key[None, :] <= position[:, None], tl.math.exp2(s - log[:, None]), 0.0)
        total += tl.sum(p, 0)
    tl.store(out + (at * slots + slot) * BLOCK + inside, total)


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
    """As kernels.dispatch.column_scores, on a device that Triton compiles for (or its interpreter)."""
    sizes = check_samples(q, k, positions, scale, block=block)
    slots = blocks.shape[-1]
    out = torch.empty((sizes.batch, sizes.heads, slots * block), dtype=torch.float32, device=q.device)
    if q.numel() == 0 or slots == 0:
        return out.zero_()
    exact = q.element_size() >= 4
    block_n = min(block, 32 if exact else 128)
    column_scores_kernel[(sizes.heads, slots * block // block_n, sizes.batch)](
        q, k, positions, (lse * 1.4426950408889634).contiguous(), blocks.contiguous(), out,
        *q.stride()[:3], *k.stride()[:3],
        sizes.heads, sizes.group, sizes.q_len, sizes.kv_len, slots, sizes.scale * 1.4426950408889634,
        HEAD_DIM=sizes.head_dim, BLOCK_D=triton.next_power_of_2(sizes.head_dim), BLOCK_M=32 if exact else 64,
        BLOCK_N=block_n, BLOCK=block, PRECISION=precision(q), num_warps=4 if sizes.head_dim <= 128 else 8,
        num_stages=1 if exact else 2,
    )  # fmt: skip
    return out
