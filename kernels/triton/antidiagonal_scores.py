# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Block scores from strided antidiagonals: one matrix product over strided tokens, its softmax summed per block.

The strided score matrix never reaches memory: a first kernel keeps, per strided query, the sum over each key block
relative to the highest score so far, a second one brings these to the row's softmax and adds a block's queries up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from kernels import device
from kernels.problem import Problem, check_scores
from kernels.triton.launch import precision
from kernels.triton.strides import descriptor_strides

ROOM = 1 << 30
"""Bytes of partial sums at once; more queries are taken in slabs."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Launch parameters of the first kernel."""

    block_m: int
    block_n: int
    num_warps: int
    num_stages: int
    flatten: bool = False


def tiles_for(capability: tuple[int, int], itemsize: int, block_d: int) -> Tiles:
    """What multiplies fastest (tests/benchmarks/NOTES.md has the comparison)."""
    if itemsize >= 4:
        return Tiles(32, 32, 4, 1)
    if capability[0] == 9 and block_d <= 128:
        return Tiles(128, 256, 8, 2)
    if capability[0] == 10 and block_d <= 128:
        return Tiles(128, 128, 8, 3)
    return Tiles(64 if block_d > 128 else 128, 64, 8, 2)


@triton.jit
def _tile(
    x, desc, sequence, head, start, place, tokens, stride_t,
    STRIDE: tl.constexpr, ROWS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, DESCRIPTORS: tl.constexpr,
):  # fmt: skip
    """Token `place` of ROWS strides from `start`: [ROWS, BLOCK_D]; zeros behind the last token."""
    if DESCRIPTORS:
        tile = tl.reshape(desc.load([sequence, head, start, place, 0]), (ROWS, BLOCK_D))
    else:
        token = (start + tl.arange(0, ROWS)) * STRIDE + place
        dim = tl.arange(0, BLOCK_D)
        tile = tl.load(
            x + token.to(tl.int64)[:, None] * stride_t + dim[None, :],
            mask=(token < tokens)[:, None] & (dim < HEAD_DIM)[None, :], other=0.0,
        )  # fmt: skip
    return tile


@triton.jit(
    do_not_specialize=["heads", "group", "row_tiles", "q_len", "kv_len", "before", "rows", "n_blocks", "n_tiles"]
)
def strided_sums_kernel(
    q, k, q_desc, k_desc, sums, tops, logs,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    heads, group, row_tiles, q_len, kv_len, before, rows, n_blocks, n_tiles, factor,
    STRIDE: tl.constexpr, EDGE: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, DESCRIPTORS: tl.constexpr, FLATTEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """BLOCK_M strided queries of one head against all strided keys up to them.

    sums [B, H, rows, n_blocks]: per key block (EDGE strided keys) the sum of exp2(score - tops[row, tile]);
    tops float32 [B, H, rows, n_tiles]: the highest score up to each tile of BLOCK_N; logs [B, H, rows]: the whole
    row's log2 of the sum. `before` strided keys stand before the first query.
    """
    program = tl.program_id(0)
    head = program % heads
    tile = row_tiles - 1 - (program // heads) % row_tiles  # the longest rows first
    sequence = program // (heads * row_tiles)
    kv_head = head // group
    first = tile * BLOCK_M
    row = first + tl.arange(0, BLOCK_M)
    n = tl.arange(0, BLOCK_N)
    q_base = q + sequence.to(tl.int64) * stride_qb + head.to(tl.int64) * stride_qh
    k_base = k + sequence.to(tl.int64) * stride_kb + kv_head.to(tl.int64) * stride_kh
    line = (sequence * heads + head).to(tl.int64) * rows + row
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    end = tl.cdiv(tl.minimum(before + first + BLOCK_M, tl.cdiv(kv_len, STRIDE)), BLOCK_N)
    for j in tl.range(0, end, flatten=FLATTEN):
        s = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for place in tl.range(0, STRIDE):
            queries = _tile(q_base, q_desc, sequence, head, first, STRIDE - 1 - place, q_len, stride_qt,
                            STRIDE, BLOCK_M, HEAD_DIM, BLOCK_D, DESCRIPTORS)  # fmt: skip
            keys = _tile(k_base, k_desc, sequence, kv_head, j * BLOCK_N, place, kv_len, stride_kt,
                         STRIDE, BLOCK_N, HEAD_DIM, BLOCK_D, DESCRIPTORS)  # fmt: skip
            s = tl.dot(queries, tl.trans(keys), s, input_precision=PRECISION)
        s *= factor
        if (j + 1) * BLOCK_N > before + first:
            s = tl.where((j * BLOCK_N + n)[None, :] <= (before + row)[:, None], s, float("-inf"))
        new_top = tl.maximum(top, tl.max(s, 1))  # the first tile holds key 0, which every query sees
        p = tl.math.exp2(s - new_top[:, None])
        sums_here = tl.sum(tl.reshape(p, (BLOCK_M, BLOCK_N // EDGE, EDGE)), 2)
        total = total * tl.math.exp2(top - new_top) + tl.sum(sums_here, 1)
        top = new_top
        block = j * (BLOCK_N // EDGE) + tl.arange(0, BLOCK_N // EDGE)
        tl.store(
            sums + line[:, None] * n_blocks + block[None, :], sums_here.to(sums.dtype.element_ty),
            mask=(row < rows)[:, None] & (block < n_blocks)[None, :],
        )  # fmt: skip
        tl.store(tops + line * n_tiles + j, top, mask=row < rows)
    tl.store(logs + line, top + tl.math.log2(total), mask=row < rows)


@triton.jit(do_not_specialize=["q_rows", "before", "rows", "n_blocks", "n_tiles", "total_rows", "offset"])
def block_sums_kernel(
    sums, tops, logs, out, q_rows, before, rows, n_blocks, n_tiles, total_rows, offset,
    EDGE: tl.constexpr, PER_TILE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """The softmax's sums over one query block (EDGE strided queries): out float32 [B, H, total_rows, n_blocks]."""
    block_row = tl.program_id(0)
    head = tl.program_id(1).to(tl.int64)
    row = block_row * EDGE + tl.arange(0, EDGE)
    line = head * rows + row
    live = row < q_rows
    log = tl.load(logs + line, mask=live, other=float("inf"))
    last = (before + block_row * EDGE + EDGE - 1) // EDGE  # the last block that any of these queries sees
    for start in range(0, n_blocks, TILE):
        block = start + tl.arange(0, TILE)
        there = live[:, None] & (block <= last)[None, :] & (block < n_blocks)[None, :]
        part = tl.load(sums + line[:, None] * n_blocks + block[None, :], mask=there, other=0.0).to(tl.float32)
        top = tl.load(tops + line[:, None] * n_tiles + (block // PER_TILE)[None, :], mask=there, other=float("-inf"))
        share = tl.where(there, part * tl.math.exp2(top - log[:, None]), 0.0)
        at = (head * total_rows + offset + block_row) * n_blocks + block
        tl.store(out + at, tl.sum(share, 0), mask=block < n_blocks)


def antidiagonal_scores(
    q: Tensor,
    k: Tensor,
    *,
    stride: int = 16,
    block: int = 128,
    scale: float | None = None,
    tiles: Tiles | None = None,
) -> Tensor:
    """As kernels.dispatch.antidiagonal_scores, on a device that Triton compiles for (or its interpreter)."""
    sizes = check_scores(q, k, scale, stride=stride, block=block)
    query_blocks, key_blocks = triton.cdiv(sizes.q_len, block), triton.cdiv(sizes.kv_len, block)
    out = torch.empty((sizes.batch, sizes.heads, query_blocks, key_blocks), dtype=torch.float32, device=q.device)
    if q.numel() == 0:
        return out
    tiles = tiles or tiles_for(device.capability(q.device), q.element_size(), triton.next_power_of_2(sizes.head_dim))
    edge = block // stride
    if tiles.block_n < edge:
        raise ValueError(f"tiles of {tiles.block_n} strided keys for blocks of {edge}")
    kind = torch.float32 if q.element_size() >= 4 else torch.float16
    bytes_per_block = sizes.batch * sizes.heads * edge * (key_blocks * kind.itemsize + 4)
    slab = max(1, ROOM // bytes_per_block)
    for first in range(0, query_blocks, slab):
        part = q[:, :, first * block : (first + slab) * block]
        _slab(part, k, sizes, sizes.kv_len - sizes.q_len + first * block, stride, block, tiles, kind, out, first)
    return out


def _slab(
    q: Tensor, k: Tensor, sizes: Problem, position: int, stride: int, block: int, tiles: Tiles, kind: torch.dtype,
    out: Tensor, offset: int,
) -> None:  # fmt: skip
    """Scores of the query blocks from `offset` on, whose first query stands at `position`."""
    edge, q_len = block // stride, q.shape[2]
    kv_len = min(sizes.kv_len, position + q_len)
    q_blocks, n_blocks = triton.cdiv(q_len, block), out.shape[3]
    rows = q_blocks * edge
    n_tiles = triton.cdiv(triton.cdiv(kv_len, stride), tiles.block_n)
    heads = (sizes.batch, sizes.heads)
    sums = torch.empty((*heads, rows, n_blocks), dtype=kind, device=q.device)
    tops = torch.empty((*heads, rows, n_tiles), dtype=torch.float32, device=q.device)
    logs = torch.empty((*heads, rows), dtype=torch.float32, device=q.device)
    block_d = triton.next_power_of_2(sizes.head_dim)
    q_desc, k_desc = (_descriptor(x, stride, r, block_d) for x, r in ((q, tiles.block_m), (k, tiles.block_n)))
    descriptors = q_desc is not None and k_desc is not None
    row_tiles = triton.cdiv(rows, tiles.block_m)
    strided_sums_kernel[(row_tiles * sizes.heads * sizes.batch,)](
        q, k, q_desc if descriptors else None, k_desc if descriptors else None, sums, tops, logs,
        *q.stride()[:3], *k.stride()[:3],
        sizes.heads, sizes.group, row_tiles, q_len, kv_len, position // stride, rows, n_blocks, n_tiles,
        sizes.scale / stride * 1.4426950408889634,
        STRIDE=stride, EDGE=edge, HEAD_DIM=sizes.head_dim, BLOCK_D=block_d, BLOCK_M=tiles.block_m,
        BLOCK_N=tiles.block_n, DESCRIPTORS=descriptors, FLATTEN=tiles.flatten, PRECISION=precision(q),
        num_warps=tiles.num_warps, num_stages=tiles.num_stages,
    )  # fmt: skip
    block_sums_kernel[(q_blocks, sizes.heads * sizes.batch)](
        sums, tops, logs, out, triton.cdiv(q_len, stride), position // stride, rows, n_blocks, n_tiles, out.shape[2],
        offset, EDGE=edge, PER_TILE=tiles.block_n // edge, TILE=max(16, min(256, triton.next_power_of_2(n_blocks))),
        num_warps=4,
    )  # fmt: skip


def _descriptor(x: Tensor, stride: int, rows: int, block_d: int) -> TensorDescriptor | None:
    """x [B, H, T, D] as [B, H, T / stride, stride, D], or None where the device or the shape does not allow it."""
    if device.capability(x.device)[0] < 9 or x.shape[2] % stride:
        return None
    legal = descriptor_strides(x)
    if legal is None:
        return None
    shape = [*x.shape[:2], x.shape[2] // stride, stride, x.shape[3]]
    strides = [*legal[:2], legal[2] * stride, legal[2], 1]
    return TensorDescriptor(x, shape, strides, [1, 1, rows, 1, block_d])
