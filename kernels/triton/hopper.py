# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# ruff: noqa: RUF005
"""The attention kernel for Hopper (sm_90), in Gluon: warp-specialised, with asynchronous matrix units.

One program holds 128 queries of one head. A producer warp reads the row's list and streams tiles of keys and values
into shared memory with the bulk copy engine; two consumer warpgroups of 64 queries each multiply. In every step a
consumer issues the next tile's Q K^T before the last tile's P V and does the softmax while the latter runs (the
pipelining of FlashAttention-3, arXiv 2407.08608 §3.2). The order of a row's tiles: masked blocks, packed columns, whole
blocks.
"""

from __future__ import annotations

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)


@gluon.jit
def _list_place(i, low, full, masked, columns):
    """Which entry of the row's list step i takes (columns in between take none)."""
    leading = gl.where(i < low, i, full + i - low)
    return gl.where(i < masked, leading, low + i - masked - columns)


@gluon.jit
def _load_tile(desc, packed_desc, sequence, head, start, packed_head, column, packed, bar, tile, COLUMNS: gl.constexpr):
    """One tile of keys or values: of the sequence, or of its packed columns."""
    if COLUMNS:
        whole = packed == 0
        tma.async_copy_global_to_shared(packed_desc, [sequence, packed_head, column, 0], bar, tile, pred=packed)
        tma.async_copy_global_to_shared(desc, [sequence, head, start, 0], bar, tile, pred=whole)
    else:
        tma.async_copy_global_to_shared(desc, [sequence, head, start, 0], bar, tile)


@gluon.jit
def _produce(
    q_desc, k_desc, v_desc, packed_k_desc, packed_v_desc, q_tile, k_tiles, v_tiles,
    q_ready, k_ready, k_free, v_ready, v_free,
    list_base, shift, low, full, masked, columns, steps, sequence, head, kv_head, packed_head, first_row,
    SPARSE: gl.constexpr, COLUMNS: gl.constexpr, FP8: gl.constexpr, SUB: gl.constexpr,
    BLOCK_N: gl.constexpr, STAGES: gl.constexpr,
):  # fmt: skip
    """Loads Q once, then K and V of every step, each into the next free stage."""
    if steps > 0:
        mbarrier.expect(q_ready, q_desc.block_type.nbytes * 2)
        tma.async_copy_global_to_shared(q_desc, [sequence, head, first_row, 0], q_ready, q_tile.index(0))
        tma.async_copy_global_to_shared(q_desc, [sequence, head, first_row + 64, 0], q_ready, q_tile.index(1))
    for i in range(steps):
        stage = i % STAGES
        free = ((i // STAGES) & 1) ^ 1
        packed = (i >= masked) & (i < masked + columns)
        column = (i - masked) * BLOCK_N
        place = _list_place(i, low, full, masked, columns)
        if SPARSE:
            start = gl.load(list_base + place // SUB, mask=packed == 0, other=0) + shift + (place % SUB) * BLOCK_N
        else:
            start = place * BLOCK_N
        k_bar = k_ready.index(stage)
        v_bar = v_ready.index(stage)
        mbarrier.wait(k_free.index(stage), free)
        mbarrier.expect(k_bar, k_desc.block_type.nbytes)
        _load_tile(k_desc, packed_k_desc, sequence, kv_head, start, packed_head, column, packed, k_bar,
                   k_tiles.index(stage), COLUMNS)  # fmt: skip
        mbarrier.wait(v_free.index(stage), free)
        mbarrier.expect(v_bar, v_desc.block_type.nbytes)
        if FP8:
            tma.async_copy_global_to_shared(v_desc, [sequence, kv_head, 0, start], v_bar, v_tiles.index(stage))
        else:
            _load_tile(v_desc, packed_v_desc, sequence, kv_head, start, packed_head, column, packed, v_bar,
                       v_tiles.index(stage), COLUMNS)  # fmt: skip


@gluon.jit
def _scores(q, k_tiles, k_ready, stage, phase, BLOCK_N: gl.constexpr, BLOCK_D: gl.constexpr, LAYOUT: gl.constexpr):
    """Issues q k^T of one stage; the result is in flight."""
    mbarrier.wait(k_ready.index(stage), phase)
    k = k_tiles.index(stage).reshape([BLOCK_N, BLOCK_D]).permute((1, 0))
    nothing = gl.zeros([64, BLOCK_N], gl.float32, LAYOUT)
    return warpgroup_mma(q, k, nothing, use_acc=False, is_async=True)


@gluon.jit
def _values(v_tiles, stage, BLOCK_N: gl.constexpr, BLOCK_D: gl.constexpr, FP8: gl.constexpr):
    """The values of one stage as the right operand [BLOCK_N, BLOCK_D]."""
    if FP8:
        values = v_tiles.index(stage).reshape([BLOCK_D, BLOCK_N]).permute((1, 0))
    else:
        values = v_tiles.index(stage).reshape([BLOCK_N, BLOCK_D])
    return values


@gluon.jit
def _mask_block(
    s, i, position, list_base, shift, low, full, masked, columns, kv_len,
    CAUSAL: gl.constexpr, SPARSE: gl.constexpr, SUB: gl.constexpr, BLOCK_N: gl.constexpr, LAYOUT: gl.constexpr,
):  # fmt: skip
    """Scores of a block at either end of the row's list, with what lies outside at -inf."""
    n = gl.arange(0, BLOCK_N, layout=gl.SliceLayout(0, LAYOUT))
    place = _list_place(i, low, full, masked, columns)
    if SPARSE:
        key = gl.load(list_base + place // SUB) + shift + (place % SUB) * BLOCK_N + n
    else:
        key = place * BLOCK_N + n
    limit = position
    if not CAUSAL:
        limit = position * 0 + kv_len - 1
    keep = (gl.expand_dims(key, 0) <= gl.expand_dims(limit, 1)) & (gl.expand_dims(key, 0) >= 0)
    return gl.where(keep, s, float("-inf"))


@gluon.jit
def _mask_columns(s, column, position, listed, covered, BLOCK_N: gl.constexpr, LAYOUT: gl.constexpr):
    """Scores of packed columns from place `column` on, with those that a block holds or the query precedes at -inf."""
    place = column + gl.arange(0, BLOCK_N, layout=gl.SliceLayout(0, LAYOUT))
    held = (gl.load(covered + place // 32) >> (place % 32)) & 1
    key = gl.where(held == 0, gl.load(listed + place), 0x7FFFFFFF)  # held already: behind every query
    return gl.where(gl.expand_dims(key, 0) <= gl.expand_dims(position, 1), s, float("-inf"))


@gluon.jit
def _weights(s, top, total, factor, MASKED: gl.constexpr, OFFSET: gl.constexpr):
    """Online softmax of one tile of raw scores: weights, new maximum (base 2), new total and the old one's decay."""
    new_top = gl.maximum(top, gl.max(s, 1) * factor)
    if MASKED:  # a query may have seen no key yet
        anchor = gl.where(new_top == float("-inf"), 0.0, new_top) - OFFSET
    else:
        anchor = new_top - OFFSET
    p = gl.exp2(s * gl.expand_dims(factor, 1) - gl.expand_dims(anchor, 1))
    decay = gl.exp2(top - OFFSET - anchor)
    return p, new_top, total * decay + gl.sum(p, 1), decay


@gluon.jit
def _operand(p, DTYPE: gl.constexpr, BLOCK_N: gl.constexpr, FP8: gl.constexpr, LAYOUT: gl.constexpr):
    """The weights as left operand in registers. In fp8 its registers hold other keys than the scores' (per 16 keys,
    bits t1 t0 b3 b0 instead of b3 t1 t0 b0); the values come permuted alike, so nothing moves between threads."""
    if FP8:
        p = gl.permute(gl.reshape(p, [64, BLOCK_N // 16, 2, 4, 2]), (0, 1, 3, 2, 4))
        p = gl.reshape(p, [64, BLOCK_N])
    return gl.convert_layout(p.to(DTYPE), LAYOUT)


@gluon.jit
def _step(
    i, weights, acc, top, total, q, k_tiles, v_tiles, k_ready, k_free, v_ready, v_free, factor,
    position, list_base, shift, low, full, masked, columns, listed, covered, kv_len,
    KIND: gl.constexpr, BLOCK_D: gl.constexpr, BLOCK_N: gl.constexpr, STAGES: gl.constexpr, SUB: gl.constexpr,
    CAUSAL: gl.constexpr, SPARSE: gl.constexpr, FP8: gl.constexpr, OFFSET: gl.constexpr,
    S_LAYOUT: gl.constexpr, O_LAYOUT: gl.constexpr, P_LAYOUT: gl.constexpr,
):  # fmt: skip
    """Step i: its scores and, behind them, the last step's weights times values; then its own weights.

    KIND: 0 a whole block, 1 a masked one, 2 packed columns.
    """
    stage = i % STAGES
    last = (i - 1) % STAGES
    p = _operand(weights, k_tiles.dtype, BLOCK_N, FP8, P_LAYOUT)
    flight = _scores(q, k_tiles, k_ready, stage, (i // STAGES) & 1, BLOCK_N, BLOCK_D, S_LAYOUT)
    mbarrier.wait(v_ready.index(last), ((i - 1) // STAGES) & 1)
    sum_flight = warpgroup_mma(p, _values(v_tiles, last, BLOCK_N, BLOCK_D, FP8), acc, is_async=True)
    s = warpgroup_mma_wait(1, deps=[flight])
    mbarrier.arrive(k_free.index(stage))
    if KIND == 1:
        s = _mask_block(s, i, position, list_base, shift, low, full, masked, columns, kv_len,
                        CAUSAL, SPARSE, SUB, BLOCK_N, S_LAYOUT)  # fmt: skip
    if KIND == 2:
        s = _mask_columns(s, (i - masked) * BLOCK_N, position, listed, covered, BLOCK_N, S_LAYOUT)
    weights, top, total, decay = _weights(s, top, total, factor, KIND != 0, OFFSET)
    if FP8:
        acc = warpgroup_mma_wait(0, deps=[sum_flight])
    else:
        acc, p = warpgroup_mma_wait(0, deps=[sum_flight, p])
    mbarrier.arrive(v_free.index(last))
    acc = acc * gl.expand_dims(gl.convert_layout(decay, gl.SliceLayout(1, O_LAYOUT)), 1)
    return weights, acc, top, total


@gluon.jit
def _consume(
    half: gl.constexpr, q_tile, k_tiles, v_tiles, q_ready, k_ready, k_free, v_ready, v_free,
    out, lse, q_scale, list_base, shift, low, full, masked, columns, steps, listed, covered,
    first_row, first_position, q_len, kv_len, factor, values_scale, out_base, stride_ot, lse_base,
    HEAD_DIM: gl.constexpr, BLOCK_D: gl.constexpr, BLOCK_N: gl.constexpr, STAGES: gl.constexpr,
    SUB: gl.constexpr, CAUSAL: gl.constexpr, SPARSE: gl.constexpr, COLUMNS: gl.constexpr, FP8: gl.constexpr,
):  # fmt: skip
    """64 queries: softmax(q k^T) v over every step, then out and lse."""
    DTYPE: gl.constexpr = k_tiles.dtype
    WIDTH: gl.constexpr = 4 if FP8 else 2
    DEPTH: gl.constexpr = 32 if FP8 else 16
    OFFSET: gl.constexpr = 8.0 if FP8 else 0.0
    S_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, BLOCK_N, DEPTH])
    O_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, BLOCK_D, DEPTH])
    P_LAYOUT: gl.constexpr = gl.DotOperandLayout(0, O_LAYOUT, WIDTH)
    ROW: gl.constexpr = gl.SliceLayout(1, S_LAYOUT)
    m = gl.arange(0, 64, layout=ROW)
    row = first_row + half * 64 + m
    position = first_position + half * 64 + m
    factor = gl.full([64], 1.0, gl.float32, ROW) * factor
    if FP8:
        factor = factor * gl.load(q_scale + lse_base + row, mask=row < q_len, other=1.0)
    top = gl.full([64], float("-inf"), gl.float32, ROW)
    total = gl.zeros([64], gl.float32, ROW)
    acc = gl.zeros([64, BLOCK_D], gl.float32, O_LAYOUT)

    if steps > 0:
        q = q_tile.index(half).reshape([64, BLOCK_D])
        mbarrier.wait(q_ready, 0)
        flight = _scores(q, k_tiles, k_ready, 0, 0, BLOCK_N, BLOCK_D, S_LAYOUT)
        s = warpgroup_mma_wait(0, deps=[flight])
        mbarrier.arrive(k_free.index(0))
        if masked > 0:
            s = _mask_block(s, 0, position, list_base, shift, low, full, masked, columns, kv_len,
                            CAUSAL, SPARSE, SUB, BLOCK_N, S_LAYOUT)  # fmt: skip
        if COLUMNS:  # noqa: SIM102 - a constexpr, then a scalar
            if masked == 0 and columns > 0:
                s = _mask_columns(s, 0, position, listed, covered, BLOCK_N, S_LAYOUT)
        weights, top, total, _ = _weights(s, top, total, factor, True, OFFSET)
        for i in range(1, masked):
            weights, acc, top, total = _step(
                i, weights, acc, top, total, q, k_tiles, v_tiles, k_ready, k_free, v_ready, v_free, factor,
                position, list_base, shift, low, full, masked, columns, listed, covered, kv_len,
                1, BLOCK_D, BLOCK_N, STAGES, SUB, CAUSAL, SPARSE, FP8, OFFSET, S_LAYOUT, O_LAYOUT, P_LAYOUT,
            )  # fmt: skip
        if COLUMNS:
            for i in range(gl.maximum(masked, 1), masked + columns):
                weights, acc, top, total = _step(
                    i, weights, acc, top, total, q, k_tiles, v_tiles, k_ready, k_free, v_ready, v_free, factor,
                    position, list_base, shift, low, full, masked, columns, listed, covered, kv_len,
                    2, BLOCK_D, BLOCK_N, STAGES, SUB, CAUSAL, SPARSE, FP8, OFFSET, S_LAYOUT, O_LAYOUT, P_LAYOUT,
                )  # fmt: skip
        for i in range(gl.maximum(masked + columns, 1), steps):
            weights, acc, top, total = _step(
                i, weights, acc, top, total, q, k_tiles, v_tiles, k_ready, k_free, v_ready, v_free, factor,
                position, list_base, shift, low, full, masked, columns, listed, covered, kv_len,
                0, BLOCK_D, BLOCK_N, STAGES, SUB, CAUSAL, SPARSE, FP8, OFFSET, S_LAYOUT, O_LAYOUT, P_LAYOUT,
            )  # fmt: skip
        last = (steps - 1) % STAGES
        p = _operand(weights, DTYPE, BLOCK_N, FP8, P_LAYOUT)
        mbarrier.wait(v_ready.index(last), ((steps - 1) // STAGES) & 1)
        acc = warpgroup_mma(p, _values(v_tiles, last, BLOCK_N, BLOCK_D, FP8), acc, is_async=True)
        acc = warpgroup_mma_wait(0, deps=[acc])

    some = total > 0
    log = (top - OFFSET + gl.log2(gl.where(some, total, 1.0))) * 0.6931471805599453
    gl.store(lse + lse_base + row, gl.where(some, log, float("-inf")), mask=row < q_len)
    inverse = values_scale / gl.where(some, total, 1.0)
    acc = acc * gl.expand_dims(gl.convert_layout(inverse, gl.SliceLayout(1, O_LAYOUT)), 1)
    out_row = first_row + half * 64 + gl.arange(0, 64, layout=gl.SliceLayout(1, O_LAYOUT))
    dim = gl.arange(0, BLOCK_D, layout=gl.SliceLayout(0, O_LAYOUT))
    places = gl.expand_dims(out_row.to(gl.int64) * stride_ot, 1) + gl.expand_dims(dim, 0)
    inside = gl.expand_dims(out_row < q_len, 1) & gl.expand_dims(dim < HEAD_DIM, 0)
    gl.store(out + out_base + places, acc.to(out.dtype.element_ty), mask=inside)


# sizes are not specialised on: a new length must not compile anew
@gluon.jit(
    do_not_specialize=[
        "heads", "group", "bundle", "tiles", "q_len", "kv_len", "index_batch", "index_groups", "head_per_group",
        "plan_batch", "rows", "words", "n_columns", "packed_per_kv",
    ]
)  # fmt: skip
def hopper_forward_kernel(
    q_desc, k_desc, v_desc, packed_k_desc, packed_v_desc, out, lse,
    blocks, offsets, shifts, spans, covered, columns_list, q_scale, k_scale, v_scale,
    stride_ob, stride_oh, stride_ot,
    heads, group, bundle, tiles, q_len, kv_len, scale,
    index_batch, index_groups, head_per_group, plan_batch, rows, words, n_columns, packed_per_kv,
    HEAD_DIM: gl.constexpr, BLOCK_D: gl.constexpr, BLOCK_N: gl.constexpr, STAGES: gl.constexpr,
    Q_BLOCK: gl.constexpr, K_BLOCK: gl.constexpr,
    CAUSAL: gl.constexpr, SPARSE: gl.constexpr, COLUMNS: gl.constexpr, FP8: gl.constexpr,
    PRODUCER_REGISTERS: gl.constexpr, CONSUMER_REGISTERS: gl.constexpr,
):  # fmt: skip
    """128 queries of one head per program; descriptors are 4-dimensional [batch, heads, tokens, head_dim]."""
    program = gl.program_id(0)
    # `bundle` heads side by side, each with its longest rows first; then the next heads
    head = program // (bundle * tiles) % (heads // bundle) * bundle + program % bundle
    tile = tiles - 1 - program // bundle % tiles
    sequence = program // (heads * tiles)
    kv_head = head // group
    first_row = tile * 128
    first_position = kv_len - q_len + first_row
    list_base = blocks
    listed = columns_list
    words_base = covered
    shift = 0
    columns = 0
    packed_head = 0
    SUB: gl.constexpr = K_BLOCK // BLOCK_N if SPARSE else 1
    if SPARSE:
        index_row = first_row // Q_BLOCK
        index_head = head // head_per_group
        source = ((sequence % index_batch) * index_groups + index_head) * rows + index_row
        planned = (((sequence % plan_batch) * index_groups + index_head) * rows + index_row).to(gl.int64)
        low = gl.load(spans + planned * 4) * SUB
        full = gl.load(spans + planned * 4 + 1) * SUB
        end = gl.load(spans + planned * 4 + 2) * SUB
        list_base = blocks + gl.load(offsets + source)
        shift = gl.load(shifts + source)
        if COLUMNS:
            seen = gl.load(spans + planned * 4 + 3)
            columns = (seen + BLOCK_N - 1) // BLOCK_N
            listed = columns_list + ((sequence % index_batch) * index_groups + index_head).to(gl.int64) * n_columns
            words_base = covered + planned * words
            packed_head = kv_head * packed_per_kv + (head % group) % packed_per_kv
    else:
        low = 0
        if CAUSAL:
            full = (first_position + 1) // BLOCK_N
            end = (gl.minimum(first_position + 128, kv_len) + BLOCK_N - 1) // BLOCK_N
        else:
            full = kv_len // BLOCK_N
            end = (kv_len + BLOCK_N - 1) // BLOCK_N
        full = gl.minimum(full, end)
    masked = low + end - full
    steps = masked + columns + full - low
    factor = scale * 1.4426950408889634
    values_scale = 1.0
    if FP8:
        kv = sequence * (heads // group) + kv_head
        factor = factor * gl.load(k_scale + kv)
        values_scale = gl.load(v_scale + kv)
    out_base = sequence.to(gl.int64) * stride_ob + head.to(gl.int64) * stride_oh
    lse_base = (sequence * heads + head).to(gl.int64) * q_len

    q_tile = gl.allocate_shared_memory(q_desc.dtype, [2] + q_desc.block_type.shape, q_desc.layout)
    k_tiles = gl.allocate_shared_memory(k_desc.dtype, [STAGES] + k_desc.block_type.shape, k_desc.layout)
    v_tiles = gl.allocate_shared_memory(v_desc.dtype, [STAGES] + v_desc.block_type.shape, v_desc.layout)
    q_ready = gl.allocate_shared_memory(gl.int64, [1], mbarrier.MBarrierLayout())
    k_ready = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    k_free = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_ready = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_free = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    mbarrier.init(q_ready, count=1)
    for i in gl.static_range(STAGES):
        mbarrier.init(k_ready.index(i), count=1)
        mbarrier.init(k_free.index(i), count=2)
        mbarrier.init(v_ready.index(i), count=1)
        mbarrier.init(v_free.index(i), count=2)
    fence_async_shared()

    gl.warp_specialize(
        [
            (_consume, (
                0, q_tile, k_tiles, v_tiles, q_ready, k_ready, k_free, v_ready, v_free,
                out, lse, q_scale, list_base, shift, low, full, masked, columns, steps, listed, words_base,
                first_row, first_position, q_len, kv_len, factor, values_scale, out_base, stride_ot, lse_base,
                HEAD_DIM, BLOCK_D, BLOCK_N, STAGES, SUB, CAUSAL, SPARSE, COLUMNS, FP8,
            )),
            (_consume, (
                1, q_tile, k_tiles, v_tiles, q_ready, k_ready, k_free, v_ready, v_free,
                out, lse, q_scale, list_base, shift, low, full, masked, columns, steps, listed, words_base,
                first_row, first_position, q_len, kv_len, factor, values_scale, out_base, stride_ot, lse_base,
                HEAD_DIM, BLOCK_D, BLOCK_N, STAGES, SUB, CAUSAL, SPARSE, COLUMNS, FP8,
            )),
            (_produce, (
                q_desc, k_desc, v_desc, packed_k_desc, packed_v_desc, q_tile, k_tiles, v_tiles,
                q_ready, k_ready, k_free, v_ready, v_free,
                list_base, shift, low, full, masked, columns, steps, sequence, head, kv_head, packed_head, first_row,
                SPARSE, COLUMNS, FP8, SUB, BLOCK_N, STAGES,
            )),
        ],
        [4, 1],
        [CONSUMER_REGISTERS, PRODUCER_REGISTERS],
    )  # fmt: skip
