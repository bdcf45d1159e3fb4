# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""What the attention kernels need to know of an index before they run: which tiles want a mask, which columns count.

For every row of the index, from its sorted list: `spans` int32 [B, G, R, 4] holds the number of blocks that begin
below key 0, the number that end before the row's first query, the number that begin before its last query, and the
number of columns before its last query. So only tiles at the two ends of a row's list are masked. `covered` int32
[B, G, R, words] has a bit for each column that a block of the row already holds. And `gather_columns` packs the K and
V rows of the columns once per head, so that the attention kernel streams them like any other keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.index import BlockIndex
from kernels.problem import Problem

COLUMN_TILE = 128
"""Packed columns are padded to a multiple of this."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Per row facts of one index for one batch; see the module's text."""

    spans: Tensor
    covered: Tensor


@triton.jit
def _below(blocks, shift, low, high, limit, STEPS: tl.constexpr):
    """How many entries of the ascending list blocks[low:high] + shift lie below `limit` (any shape)."""
    low = low + tl.zeros_like(limit)
    high = high + tl.zeros_like(limit)
    first = low
    for _ in range(STEPS):
        middle = (low + high) // 2
        open_ = low < high
        value = tl.load(blocks + middle, mask=open_, other=0) + shift
        right = open_ & (value < limit)
        low = tl.where(right, middle + 1, low)
        high = tl.where(open_ & (value >= limit), middle, high)
    return low - first


@triton.jit(
    do_not_specialize=["groups", "rows", "index_batch", "n_columns", "words", "q_len", "kv_len"],
)
def _plan_kernel(
    blocks,
    offsets,
    counts,
    shifts,
    columns,
    column_counts,
    q_lens,
    kv_lens,
    spans,
    covered,
    groups,
    rows,
    index_batch,
    n_columns,
    words,
    q_len,
    kv_len,
    Q_BLOCK: tl.constexpr,
    K_BLOCK: tl.constexpr,
    VARLEN: tl.constexpr,
    STEPS: tl.constexpr,
    COLUMN_STEPS: tl.constexpr,
    TILE: tl.constexpr,
):
    """One program per (sequence, group, row)."""
    program = tl.program_id(0)
    row = program % rows
    head = program // rows  # sequence * groups + group
    sequence = head // groups
    source = (sequence % index_batch) * groups + head % groups
    if VARLEN:
        q_len = tl.load(q_lens + sequence)
        kv_len = tl.load(kv_lens + sequence)
    first = kv_len - q_len + row * Q_BLOCK
    last = tl.minimum(first + Q_BLOCK, kv_len) - 1
    offset = tl.load(offsets + source * rows + row)
    count = tl.load(counts + source * rows + row)
    count = tl.where(row * Q_BLOCK < q_len, count, 0)
    shift = tl.load(shifts + source * rows + row)
    low = _below(blocks, shift, offset, offset + count, first * 0, STEPS)
    full = _below(blocks, shift, offset, offset + count, first - K_BLOCK + 2, STEPS)
    end = _below(blocks, shift, offset, offset + count, last + 1, STEPS)
    full = tl.maximum(full, low)
    here = program.to(tl.int64) * 4
    tl.store(spans + here, low)
    tl.store(spans + here + 1, full)
    tl.store(spans + here + 2, tl.maximum(end, full))
    listed = columns + source.to(tl.int64) * n_columns
    used = tl.load(column_counts + source)
    used = tl.where(row * Q_BLOCK < q_len, used, 0)
    seen = _below(listed, 0, 0, used, last + 1, COLUMN_STEPS)
    tl.store(spans + here + 3, seen)
    lane = tl.arange(0, TILE)
    bits = tl.arange(0, 32)
    for tile in range(0, tl.cdiv(seen, TILE)):
        place = tile * TILE + lane
        key = tl.load(listed + place, mask=place < seen, other=-1)
        at = _below(blocks, shift, offset, offset + count, key + 1, STEPS)  # blocks that begin at or before the key
        nearest = tl.load(blocks + offset + at - 1, mask=at > 0, other=-K_BLOCK) + shift
        held = (place >= seen) | ((at > 0) & (key < nearest + K_BLOCK))
        packed = tl.sum(tl.reshape(held.to(tl.int32), (TILE // 32, 32)) << bits[None, :], axis=1)
        word = tile * (TILE // 32) + tl.arange(0, TILE // 32)
        tl.store(covered + program.to(tl.int64) * words + word, packed)


@triton.jit(do_not_specialize=["groups", "kv_group", "index_batch", "n_columns", "padded"])
def _gather_kernel(
    x,
    columns,
    column_counts,
    packed,
    stride_b,
    stride_h,
    stride_t,
    stride_d,
    groups,
    kv_group,
    index_batch,
    n_columns,
    padded,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    TILE: tl.constexpr,
):
    """Copies the rows of one tile of columns; unused places become zero."""
    head = tl.program_id(1)
    sequence = head // groups
    source = (sequence % index_batch) * groups + head % groups
    place = tl.program_id(0) * TILE + tl.arange(0, TILE)
    used = tl.load(column_counts + source)
    key = tl.load(columns + source.to(tl.int64) * n_columns + place, mask=place < used, other=0).to(tl.int64)
    dim = tl.arange(0, BLOCK_D)
    base = x + sequence.to(tl.int64) * stride_b + ((head % groups) // kv_group).to(tl.int64) * stride_h
    keep = (place < used)[:, None] & (dim < HEAD_DIM)[None, :]
    values = tl.load(base + key[:, None] * stride_t + dim[None, :] * stride_d, mask=keep, other=0.0)
    target = packed + (head.to(tl.int64) * padded + place[:, None]) * HEAD_DIM + dim[None, :]
    tl.store(target, values, mask=(dim < HEAD_DIM)[None, :])


def plan(index: BlockIndex, sizes: Problem, q_lens: Tensor | None, kv_lens: Tensor | None) -> Plan:
    """Plans every row of the index for this batch (for each sequence where lengths differ), without waiting."""
    varlen = q_lens is not None or kv_lens is not None
    batch = sizes.batch if varlen else index.batch
    capacity = index.columns.shape[-1]
    words = -(-capacity // COLUMN_TILE) * (COLUMN_TILE // 32)
    spans = torch.empty((batch, index.groups, index.rows, 4), dtype=torch.int32, device=index.device)
    covered = torch.empty((batch, index.groups, index.rows, words), dtype=torch.int32, device=index.device)
    if spans.numel():
        _plan_kernel[(batch * index.groups * index.rows,)](
            index.blocks,
            index.offsets,
            index.counts,
            index.shifts,
            index.columns,
            index.column_counts,
            q_lens,
            kv_lens,
            spans,
            covered,
            index.groups,
            index.rows,
            index.batch,
            capacity,
            words,
            sizes.q_len,
            sizes.kv_len,
            Q_BLOCK=index.q_block,
            K_BLOCK=index.k_block,
            VARLEN=varlen,
            STEPS=max(index.kv_len // index.k_block + 2, 1).bit_length() + 1,
            COLUMN_STEPS=max(capacity, 1).bit_length() + 1,
            TILE=COLUMN_TILE,
            num_warps=1,
        )
    return Plan(spans, covered)


def padded_columns(index: BlockIndex) -> Tensor:
    """The columns [B, G, padded], int32, with a position behind every query in the unused places."""
    capacity = index.columns.shape[-1]
    padded = torch.nn.functional.pad(index.columns, (0, -capacity % COLUMN_TILE))
    place = torch.arange(padded.shape[-1], device=index.device)
    return padded.masked_fill_(place >= index.column_counts.unsqueeze(-1), 2**31 - 1)


def gather_columns(x: Tensor, index: BlockIndex, sizes: Problem) -> Tensor:
    """The rows of x [B, Hkv, Tk, D] at the index's columns, packed: [B, max(G, Hkv), padded, D], zero where unused."""
    groups = max(index.groups, sizes.kv_heads)
    capacity = index.columns.shape[-1]
    padded = -(-capacity // COLUMN_TILE) * COLUMN_TILE
    packed = torch.empty((sizes.batch, groups, padded, sizes.head_dim), dtype=x.dtype, device=x.device)
    columns = index.columns.expand(-1, groups, -1).contiguous() if index.groups == 1 else index.columns
    counts = index.column_counts.expand(-1, groups).contiguous() if index.groups == 1 else index.column_counts
    if packed.numel():
        _gather_kernel[(padded // COLUMN_TILE, sizes.batch * groups)](
            x,
            columns,
            counts,
            packed,
            *x.stride(),
            groups,
            groups // sizes.kv_heads,
            index.batch,
            capacity,
            padded,
            HEAD_DIM=sizes.head_dim,
            BLOCK_D=triton.next_power_of_2(sizes.head_dim),
            TILE=COLUMN_TILE,
        )
    return packed
