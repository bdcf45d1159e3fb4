# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""The attention kernel that runs everywhere: dense, or over a BlockIndex, with online softmax in base 2.

Flash attention (arXiv 2205.14135, 2307.08691): one program holds BLOCK_M queries of one head and streams tiles of
BLOCK_N keys. Tiles at the ends of a row's list are masked, those between are not; then come the packed columns.
K and V tiles are loaded through tensor descriptors where the device has them, else through pointers.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _tile(
    x, desc, sequence, kv_head, start, kv_len, stride_t, stride_d,
    DESCRIPTORS: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, HEAD_DIM: tl.constexpr,
    TRANSPOSED: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """BLOCK_N keys (or values) from `start`: [BLOCK_N, BLOCK_D], or [BLOCK_D, BLOCK_N] where stored transposed."""
    key = start + tl.arange(0, BLOCK_N)
    dim = tl.arange(0, BLOCK_D)
    places = key.to(tl.int64)[:, None] * stride_t + dim[None, :] * stride_d
    inside = (key >= 0) & (key < kv_len)
    if DESCRIPTORS:
        if TRANSPOSED:
            tile = tl.reshape(desc.load([sequence, kv_head, 0, start]), (BLOCK_D, BLOCK_N))
        else:
            tile = tl.reshape(desc.load([sequence, kv_head, start, 0]), (BLOCK_N, BLOCK_D))
    elif TRANSPOSED:
        tile = tl.load(x + tl.trans(places), mask=inside[None, :] & (dim < HEAD_DIM)[:, None], other=0.0)
    elif MASKED:
        tile = tl.load(x + places, mask=inside[:, None] & (dim < HEAD_DIM)[None, :], other=0.0)
    elif HEAD_DIM != BLOCK_D:
        tile = tl.load(x + places, mask=(dim < HEAD_DIM)[None, :], other=0.0)
    else:
        tile = tl.load(x + places)
    return tile


@triton.jit
def _accumulate(
    s, v, acc, total, top, factor, values_scale,
    MASKED: tl.constexpr, SCALED: tl.constexpr, OFFSET: tl.constexpr, TRANSPOSED: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One step of the online softmax: scores s [M, N] (raw; `factor` [M] brings them to base 2) and values v."""
    new_top = tl.maximum(top, tl.max(s, 1) * factor)
    anchor = new_top
    if MASKED:
        anchor = tl.where(new_top == float("-inf"), 0.0, new_top)
    p = tl.math.exp2(s * factor[:, None] - (anchor - OFFSET)[:, None])
    decay = tl.math.exp2(top - anchor)
    total = total * decay + tl.sum(p, 1)
    acc = acc * decay[:, None]
    if SCALED:
        p = p * values_scale[None, :]
    if TRANSPOSED:
        v = tl.trans(v)
    acc = tl.dot(p.to(v.dtype), v, acc, input_precision=PRECISION)
    return acc, total, new_top


# sizes are not specialised on: a new length must not compile anew
@triton.jit(
    do_not_specialize=[
        "heads", "group", "tiles", "q_len", "kv_len", "index_batch", "index_groups", "head_per_group", "plan_batch",
        "rows", "words", "n_columns", "padded", "packed_per_kv", "scale_blocks",
    ]
)  # fmt: skip
def attention_forward_kernel(
    q, k, v, k_desc, v_desc, out, lse,
    blocks, offsets, shifts, spans, covered, columns, packed_k, packed_v,
    q_lens, kv_lens, q_scale, k_scale, v_scale, order,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt, stride_vd,
    stride_ob, stride_oh, stride_ot,
    heads, group, tiles, q_len, kv_len, scale,
    index_batch, index_groups, head_per_group, plan_batch, rows, words, n_columns, padded, packed_per_kv,
    scale_blocks,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    Q_BLOCK: tl.constexpr, K_BLOCK: tl.constexpr,
    CAUSAL: tl.constexpr, SPARSE: tl.constexpr, COLUMNS: tl.constexpr, VARLEN: tl.constexpr,
    DESCRIPTORS: tl.constexpr, FP8: tl.constexpr, SCALE_BLOCK: tl.constexpr, ORDERED: tl.constexpr,
    PRECISION: tl.constexpr, WARP_SPECIALIZE: tl.constexpr,
):  # fmt: skip
    """q [B, H, Tq, D], k and v [B, Hkv, Tk, D] -> out like q and lse [B, H, Tq]; see kernels.triton.launch."""
    program = tl.program_id(0)
    if ORDERED:
        program = tl.load(order + program)
    head = program % heads
    tile = tiles - 1 - (program // heads) % tiles  # the longest rows first
    sequence = program // (heads * tiles)
    kv_head = head // group
    if VARLEN:
        total_q = q_len
        q_len = tl.load(q_lens + sequence)
        kv_len = tl.load(kv_lens + sequence)
    else:
        total_q = q_len
    OFFSET: tl.constexpr = 8.0 if FP8 else 0.0  # fp8 weights use the range up to 2**8

    # BLOCK_M queries of one head
    row = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    dim = tl.arange(0, BLOCK_D)
    first = kv_len - q_len + tile * BLOCK_M
    position = first + tl.arange(0, BLOCK_M)
    q_base = q + sequence.to(tl.int64) * stride_qb + head.to(tl.int64) * stride_qh
    live = row < q_len
    queries = tl.load(
        q_base + row.to(tl.int64)[:, None] * stride_qt + dim[None, :],
        mask=live[:, None] & (dim < HEAD_DIM)[None, :], other=0.0,
    )  # fmt: skip
    factor = tl.full((BLOCK_M,), scale * 1.4426950408889634, tl.float32)
    if FP8:
        factor *= tl.load(q_scale + (sequence * heads + head).to(tl.int64) * total_q + row, mask=live, other=1.0)
        scale_base = (sequence * (heads // group) + kv_head) * scale_blocks
        if SCALE_BLOCK == 0:
            factor *= tl.load(k_scale + scale_base)
    k_base = k + sequence.to(tl.int64) * stride_kb + kv_head.to(tl.int64) * stride_kh
    v_base = v + sequence.to(tl.int64) * stride_vb + kv_head.to(tl.int64) * stride_vh
    limit = position
    if not CAUSAL:
        limit = tl.full((BLOCK_M,), 0, tl.int32) + kv_len - 1

    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    n = tl.arange(0, BLOCK_N)
    values_scale = tl.full((BLOCK_N,), 1.0, tl.float32)

    # which tiles: `low` leading ones and those from `full` to `end` are masked
    SUB: tl.constexpr = K_BLOCK // BLOCK_N if SPARSE else 1
    list_base = blocks
    shift = 0
    if SPARSE:
        index_row = tile * BLOCK_M // Q_BLOCK
        index_head = head // head_per_group
        source = ((sequence % index_batch) * index_groups + index_head) * rows + index_row
        planned = (((sequence % plan_batch) * index_groups + index_head) * rows + index_row).to(tl.int64)
        low = tl.load(spans + planned * 4) * SUB
        full = tl.load(spans + planned * 4 + 1) * SUB
        end = tl.load(spans + planned * 4 + 2) * SUB
        list_base = blocks + tl.load(offsets + source)
        shift = tl.load(shifts + source)
    else:
        low = 0
        if CAUSAL:
            full = (first + 1) // BLOCK_N
            end = tl.cdiv(tl.minimum(first + BLOCK_M, kv_len), BLOCK_N)
        else:
            full = kv_len // BLOCK_N
            end = tl.cdiv(kv_len, BLOCK_N)
        end = tl.where(tile * BLOCK_M < q_len, end, 0)
        full = tl.minimum(full, end)

    for i in range(0, low + end - full):
        j = tl.where(i < low, i, full + i - low)
        if SPARSE:
            start = tl.load(list_base + j // SUB) + shift + (j % SUB) * BLOCK_N
        else:
            start = j * BLOCK_N
        key = start + n
        kt = _tile(k_base, k_desc, sequence, kv_head, start, kv_len, stride_kt, 1,
                   DESCRIPTORS, BLOCK_N, BLOCK_D, HEAD_DIM, False, True)  # fmt: skip
        s = tl.dot(queries, tl.trans(kt), input_precision=PRECISION)
        if SCALE_BLOCK:
            inside = (key >= 0) & (key < kv_len)
            s = s * tl.load(k_scale + scale_base + key // SCALE_BLOCK, mask=inside, other=0.0)[None, :]
            values_scale = tl.load(v_scale + scale_base + key // SCALE_BLOCK, mask=inside, other=0.0)
        s = tl.where((key[None, :] <= limit[:, None]) & (key >= 0)[None, :], s, float("-inf"))
        vt = _tile(v_base, v_desc, sequence, kv_head, start, kv_len, stride_vt, stride_vd,
                   DESCRIPTORS, BLOCK_N, BLOCK_D, HEAD_DIM, FP8, True)  # fmt: skip
        if VARLEN and not FP8:  # keys behind a sequence's end may hold anything, NaN included
            vt = tl.where(((key >= 0) & (key < kv_len))[:, None], vt, 0.0).to(vt.dtype)
        acc, total, top = _accumulate(s, vt, acc, total, top, factor, values_scale,
                                      True, SCALE_BLOCK > 0, OFFSET, FP8, PRECISION)  # fmt: skip

    if SPARSE:
        upcoming = tl.load(list_base + low // SUB, mask=low < full, other=0)
    else:
        upcoming = 0
    for j in tl.range(low, full, warp_specialize=WARP_SPECIALIZE):
        if SPARSE:
            start = upcoming + shift + (j % SUB) * BLOCK_N
            upcoming = tl.load(list_base + (j + 1) // SUB, mask=j + 1 < full, other=0)
        else:
            start = j * BLOCK_N
        kt = _tile(k_base, k_desc, sequence, kv_head, start, kv_len, stride_kt, 1,
                   DESCRIPTORS, BLOCK_N, BLOCK_D, HEAD_DIM, False, False)  # fmt: skip
        s = tl.dot(queries, tl.trans(kt), input_precision=PRECISION)
        if SCALE_BLOCK:
            key = start + n
            s = s * tl.load(k_scale + scale_base + key // SCALE_BLOCK)[None, :]
            values_scale = tl.load(v_scale + scale_base + key // SCALE_BLOCK)
        vt = _tile(v_base, v_desc, sequence, kv_head, start, kv_len, stride_vt, stride_vd,
                   DESCRIPTORS, BLOCK_N, BLOCK_D, HEAD_DIM, FP8, False)  # fmt: skip
        # masked: the rows of a short sequence's last tile may have seen nothing yet
        acc, total, top = _accumulate(s, vt, acc, total, top, factor, values_scale,
                                      False, SCALE_BLOCK > 0, OFFSET, FP8, PRECISION)  # fmt: skip

    if COLUMNS:
        seen = tl.load(spans + planned * 4 + 3)
        listed = columns + ((sequence % index_batch) * index_groups + index_head).to(tl.int64) * n_columns
        packed_heads = (heads // group) * packed_per_kv
        if index_groups == heads:
            packed_head = sequence * packed_heads + head
        else:
            packed_head = sequence * packed_heads + kv_head
        packed_base = packed_head.to(tl.int64) * padded * HEAD_DIM
        for j in range(0, tl.cdiv(seen, BLOCK_N)):
            place = j * BLOCK_N + n
            key = tl.load(listed + place)
            held = (tl.load(covered + planned * words + place // 32) >> (place % 32)) & 1
            places = place[:, None] * HEAD_DIM + dim[None, :]
            inside = (dim < HEAD_DIM)[None, :]
            kt = tl.load(packed_k + packed_base + places, mask=inside, other=0.0)
            s = tl.dot(queries, tl.trans(kt), input_precision=PRECISION)
            if SCALE_BLOCK:
                inside_keys = key < kv_len
                factors = tl.load(k_scale + scale_base + key // SCALE_BLOCK, mask=inside_keys, other=0.0)
                s = s * factors[None, :]
                values_scale = tl.load(v_scale + scale_base + key // SCALE_BLOCK, mask=inside_keys, other=0.0)
            s = tl.where((key[None, :] <= position[:, None]) & (held == 0)[None, :], s, float("-inf"))
            vt = tl.load(packed_v + packed_base + places, mask=inside, other=0.0)
            acc, total, top = _accumulate(s, vt, acc, total, top, factor, values_scale,
                                          True, SCALE_BLOCK > 0, OFFSET, False, PRECISION)  # fmt: skip

    some = total > 0
    result = acc / tl.where(some, total, 1.0)[:, None]
    if FP8 and SCALE_BLOCK == 0:
        result *= tl.load(v_scale + scale_base)
    log = tl.where(some, (top - OFFSET + tl.math.log2(tl.where(some, total, 1.0))) * 0.6931471805599453, float("-inf"))
    inside = row < total_q
    log = tl.where(live, log, float("-inf"))
    result = tl.where(live[:, None], result, 0.0)
    tl.store(lse + (sequence * heads + head).to(tl.int64) * total_q + row, log, mask=inside)
    out_base = out + sequence.to(tl.int64) * stride_ob + head.to(tl.int64) * stride_oh
    tl.store(
        out_base + row.to(tl.int64)[:, None] * stride_ot + dim[None, :],
        result.to(out.dtype.element_ty), mask=inside[:, None] & (dim < HEAD_DIM)[None, :],
    )  # fmt: skip
