# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Which blocks each row of queries reads beside the columns: a row's sums are read once, and its list is written.

One program holds a row. What the columns hold is taken off their blocks by running sums, in an order that never
changes, so that the same scores always give the same list.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.problem import check_choice
from kernels.triton.select_short import lowest_kept, worth

NOWHERE = tl.constexpr(2**30)


@triton.jit
def _with_neighbours(x, head, row, rows, width, place, there, WEIGHT: tl.constexpr):
    """A row of x [heads, rows, width] and WEIGHT times the rows before and after it (at an end, itself)."""
    base = x + head * rows * width + place
    above = tl.load(base + tl.maximum(row - 1, 0).to(tl.int64) * width, mask=there, other=0.0)
    below = tl.load(base + tl.minimum(row + 1, rows - 1).to(tl.int64) * width, mask=there, other=0.0)
    return tl.load(base + row.to(tl.int64) * width, mask=there, other=0.0) + WEIGHT * (above + below)


@triton.jit(do_not_specialize=["rows", "n", "capacity", "first", "edge", "kv_len"])
def choose_blocks_kernel(
    scores, held, columns, column_counts, aim, rest, starts, counts,
    rows, n, capacity, first, edge, kv_len,
    BLOCK: tl.constexpr, N: tl.constexpr, C: tl.constexpr, WEIGHT: tl.constexpr,
):  # fmt: skip
    """One row: starts int32 [heads, rows, n] of its blocks in tokens, counts [heads, rows]; rest is room to work in."""
    row, head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    line = head * rows + row
    place = tl.arange(0, N)
    x = _with_neighbours(scores, head, row, rows, n, place, place < n, WEIGHT)
    in_columns = 0.0
    if C > 0:
        c = tl.arange(0, C)
        listed, used = columns + head * capacity + c, tl.load(column_counts + head)
        h = _with_neighbours(held, head, row, rows, capacity, c, c < used, WEIGHT)
        at = tl.load(listed, mask=c < used, other=NOWHERE) // BLOCK
        following = tl.load(listed + 1, mask=c + 1 < used, other=NOWHERE) // BLOCK
        previous = tl.load(listed - 1, mask=(c > 0) & (c < used), other=NOWHERE) // BLOCK
        running = tl.cumsum(h, 0)
        in_columns = tl.sum(h, 0)
        room = rest + line * n
        tl.store(room + place, x, mask=place < n)
        tl.debug_barrier()
        last_of = (c < used) & (following != at)
        tl.store(room + at, tl.load(room + at, mask=last_of, other=0.0) - running, mask=last_of)
        tl.debug_barrier()
        first_of = (c < used) & (previous != at)
        tl.store(room + at, tl.load(room + at, mask=first_of, other=0.0) + (running - h), mask=first_of)
        tl.debug_barrier()
        x = tl.load(room + place, mask=place < n, other=0.0)
    begin = first + row * edge
    live = (place < n) & (place <= (tl.minimum(begin + edge, kv_len) - 1) // BLOCK)
    x = tl.where(x > 0, x, 0.0)
    bits = tl.where(live, x.to(tl.int32, bitcast=True), -1)
    must = live & ((place == 0) | (place >= begin // BLOCK))
    in_blocks = worth(bits, live, False)
    goal = tl.load(aim + head) * (in_columns + in_blocks) - in_columns
    keep = (must | (bits >= lowest_kept(bits, must, tl.minimum(goal, in_blocks), False))).to(tl.int32)
    tl.store(starts + line * n + tl.cumsum(keep, 0) - 1, place * BLOCK, mask=keep == 1)
    tl.store(counts + line, tl.sum(keep, 0))


def choose_blocks(
    scores: Tensor, held: Tensor, columns: Tensor, column_counts: Tensor, aim: Tensor, *, q_len: int, kv_len: int,
    edge: int = 128, block: int = 128, neighbours: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """As kernels.dispatch.choose_blocks, on a device that Triton compiles for (or its interpreter)."""
    check_choice(scores, held, columns, column_counts, aim, q_len, kv_len, edge, block)
    batch, heads, rows, n = scores.shape
    capacity = columns.shape[-1]
    starts = torch.empty(scores.shape, dtype=torch.int32, device=scores.device)
    counts = torch.empty(scores.shape[:3], dtype=torch.int32, device=scores.device)
    if scores.numel() == 0:
        return starts, counts.zero_()
    width = max(16, triton.next_power_of_2(n))
    choose_blocks_kernel[(rows, batch * heads)](
        scores.contiguous(), held.contiguous(), columns.contiguous(), column_counts.contiguous(), aim.contiguous(),
        torch.empty_like(scores), starts, counts, rows, n, capacity, kv_len - q_len, edge, kv_len,
        BLOCK=block, N=width, C=triton.next_power_of_2(capacity) if capacity else 0, WEIGHT=neighbours,
        num_warps=16 if width > 4096 else 8 if width > 1024 else 4,
    )  # fmt: skip
    return starts, counts
