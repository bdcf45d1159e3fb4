# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Split-KV decode attention: every program reads a share of the keys for all query heads of one KV head.

Flash decoding: a program holds BLOCK_M rows (query heads of the group x queries) of one KV head and streams its split
of the keys; the splits' results are merged by their logsumexp in `combine_kernel`. Logs are in base 2 until the end.
"""

from __future__ import annotations

import triton
import triton.language as tl

SIZES = [
    "kv_heads", "group", "q_len", "kv_len", "splits", "pages_batch", "pages_heads", "n_pages", "scale_blocks", "tiles",
]  # fmt: skip


@triton.jit(do_not_specialize=SIZES)
def decode_kernel(
    q, k, v, parts, part_logs, tile_logs, kv_lens, page_numbers, page_counts, k_scale, v_scale,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt, stride_vd,
    kv_heads, group, q_len, kv_len, splits, pages_batch, pages_heads, n_pages, scale_blocks, tiles, scale,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PAGE: tl.constexpr, CAUSAL: tl.constexpr, VARLEN: tl.constexpr, FP8: tl.constexpr, SCALE_BLOCK: tl.constexpr,
    MASS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """q [B, H, Tq, D], k and v [B, Hkv, Tk, D] -> parts float32 [B, Hkv, splits, rows, D], part_logs [.., rows].

    PAGE > 0: only the listed pages are read. MASS: tile_logs float32 [B, H, Tq, tiles] gets the log of the sum of
    exp2(score) over each tile of BLOCK_N keys that is read.
    """
    split = tl.program_id(0)
    row_tile = tl.program_id(1)
    head = tl.program_id(2)  # sequence * kv_heads + KV head
    sequence = (head // kv_heads).to(tl.int64)
    kv_head = (head % kv_heads).to(tl.int64)
    if VARLEN:
        kv_len = tl.load(kv_lens + sequence)
    rows = group * q_len
    row = row_tile * BLOCK_M + tl.arange(0, BLOCK_M)
    live = row < rows
    token = row % q_len
    query_head = kv_head * group + row // q_len
    dim = tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    inside_d = dim < HEAD_DIM
    queries = tl.load(
        q + sequence * stride_qb + (query_head * stride_qh + token.to(tl.int64) * stride_qt)[:, None] + dim[None, :],
        mask=live[:, None] & inside_d[None, :], other=0.0,
    )  # fmt: skip
    limit = tl.full((BLOCK_M,), 0, tl.int32) + kv_len - 1
    if CAUSAL:
        limit += token - q_len + 1
    factor = scale * 1.4426950408889634
    scales = (sequence * kv_heads + kv_head) * scale_blocks
    if FP8 and SCALE_BLOCK == 0:
        factor *= tl.load(k_scale + scales)

    k_base = k + sequence * stride_kb + kv_head * stride_kh
    v_base = v + sequence * stride_vb + kv_head * stride_vh
    if PAGE > 0:
        listed = (sequence % pages_batch) * pages_heads + kv_head % pages_heads
        numbers = page_numbers + listed * n_pages
        n_tiles = tl.load(page_counts + listed) * (PAGE // BLOCK_N)
    else:
        n_tiles = tl.cdiv(kv_len, BLOCK_N)
    share = tl.cdiv(n_tiles, splits)
    begin = split * share
    end = tl.minimum(begin + share, n_tiles)

    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    for tile in range(begin, end):
        if PAGE > 0:
            start = tl.load(numbers + tile // (PAGE // BLOCK_N)) * PAGE + (tile % (PAGE // BLOCK_N)) * BLOCK_N
        else:
            start = tile * BLOCK_N
        key = start + n
        exists = key < kv_len
        place = key.to(tl.int64)[:, None]
        inside = exists[:, None] & inside_d[None, :]
        kt = tl.load(k_base + place * stride_kt + dim[None, :], mask=inside, other=0.0)
        vt = tl.load(v_base + place * stride_vt + dim[None, :] * stride_vd, mask=inside, other=0.0)
        s = tl.dot(queries, tl.trans(kt.to(queries.dtype)), input_precision=PRECISION) * factor
        if FP8 and SCALE_BLOCK > 0:
            s *= tl.load(k_scale + scales + key // SCALE_BLOCK, mask=exists, other=0.0)[None, :]
        s = tl.where(key[None, :] <= limit[:, None], s, float("-inf"))
        new_top = tl.maximum(top, tl.max(s, 1))
        anchor = tl.where(new_top == float("-inf"), 0.0, new_top)
        p = tl.math.exp2(s - anchor[:, None])
        mass = tl.sum(p, 1)
        if MASS:
            log = tl.where(mass > 0, anchor + tl.math.log2(tl.where(mass > 0, mass, 1.0)), float("-inf"))
            at = ((sequence * kv_heads * group + query_head) * q_len + token) * tiles + start // BLOCK_N
            tl.store(tile_logs + at, log, mask=live & (start < kv_len))
        decay = tl.math.exp2(top - anchor)
        total = total * decay + mass
        if FP8 and SCALE_BLOCK > 0:
            p *= tl.load(v_scale + scales + key // SCALE_BLOCK, mask=exists, other=0.0)[None, :]
        acc = tl.dot(p.to(queries.dtype), vt.to(queries.dtype), acc * decay[:, None], input_precision=PRECISION)
        top = new_top

    some = total > 0
    result = acc / tl.where(some, total, 1.0)[:, None]
    if FP8 and SCALE_BLOCK == 0:
        result *= tl.load(v_scale + scales)
    log = tl.where(some, top + tl.math.log2(tl.where(some, total, 1.0)), float("-inf"))
    at = (head.to(tl.int64) * splits + split) * rows + row
    tl.store(part_logs + at, log, mask=live)
    tl.store(parts + at[:, None] * HEAD_DIM + dim[None, :], result, mask=live[:, None] & inside_d[None, :])


@triton.jit(do_not_specialize=["group", "q_len", "splits"])
def combine_kernel(
    parts, part_logs, out, lse, group, q_len, splits,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """parts [B * Hkv, splits, rows, D] -> out [B, H, Tq, D] (contiguous) and lse [B, H, Tq], natural log."""
    row = tl.program_id(0)
    head = tl.program_id(1).to(tl.int64)
    rows = group * q_len
    dim = tl.arange(0, BLOCK_D)
    inside_d = dim < HEAD_DIM
    acc = tl.zeros((BLOCK_D,), tl.float32)
    total = tl.zeros((), tl.float32)
    top = tl.full((), float("-inf"), tl.float32)
    for first in range(0, splits, TILE):
        split = first + tl.arange(0, TILE)
        at = (head * splits + split) * rows + row
        log = tl.load(part_logs + at, mask=split < splits, other=float("-inf"))
        part = tl.load(
            parts + at[:, None] * HEAD_DIM + dim[None, :],
            mask=(log > float("-inf"))[:, None] & inside_d[None, :], other=0.0,
        )  # fmt: skip
        new_top = tl.maximum(top, tl.max(log, 0))
        anchor = tl.where(new_top == float("-inf"), 0.0, new_top)
        weight = tl.math.exp2(log - anchor)
        decay = tl.math.exp2(top - anchor)
        acc = acc * decay + tl.sum(part * weight[:, None], 0)
        total = total * decay + tl.sum(weight, 0)
        top = new_top
    some = total > 0
    result = acc / tl.where(some, total, 1.0)
    log = tl.where(some, (top + tl.math.log2(tl.where(some, total, 1.0))) * 0.6931471805599453, float("-inf"))
    tl.store(lse + head * rows + row, log)
    tl.store(out + (head * rows + row) * HEAD_DIM + dim, result.to(out.dtype.element_ty), mask=inside_d)
