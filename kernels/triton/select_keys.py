# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Selection of the highest scores by bisection on their bits: no sort, no score leaves the device."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.problem import check_selection

HELD = 4096
"""Scores of a row that a program keeps in registers; longer rows are read again for each of the 31 bits."""


@triton.jit
def _read(scores, forced, base, start, allowed, n, BLOCK: tl.constexpr, FORCED: tl.constexpr):
    """BLOCK scores as the integers their bits are (-1 where there is none to take), and which must be taken."""
    place = start + tl.arange(0, BLOCK)
    x = tl.load(scores + base + place, mask=place < allowed, other=-1.0).to(tl.float32)
    x = tl.where(x == 0, 0.0, x)  # minus zero
    bits = tl.where(x >= 0, x.to(tl.int32, bitcast=True), -1)
    if FORCED:
        must = (tl.load(forced + base + place, mask=place < allowed, other=0) != 0) & (bits >= 0)
    else:
        must = place < 0
    return bits, must


@triton.jit
def _worth(bits, chosen, COUNT: tl.constexpr):
    """The sum of the chosen scores, or their number."""
    if COUNT:
        worth = tl.sum(chosen.to(tl.float32), 0)
    else:
        worth = tl.sum(tl.where(chosen, bits.to(tl.float32, bitcast=True), 0.0), 0)
    return worth


@triton.jit(do_not_specialize=["n"])
def select_keys_kernel(
    scores, targets, forced, allowed, places, counts, n,
    BLOCK: tl.constexpr, SINGLE: tl.constexpr, COUNT: tl.constexpr, FORCED: tl.constexpr, LIMITED: tl.constexpr,
):  # fmt: skip
    """One program per row of scores [rows, n]: the largest threshold that keeps the target's worth, then a list."""
    row = tl.program_id(0)
    base = row.to(tl.int64) * n
    end = n
    if LIMITED:
        end = tl.minimum(tl.load(allowed + row), n)
    target = tl.load(targets + row).to(tl.float32)
    if SINGLE:
        bits, must = _read(scores, forced, base, 0, end, n, BLOCK, FORCED)
        if not COUNT:
            target *= _worth(bits, bits >= 0, COUNT)
    elif not COUNT:
        total = tl.zeros((), tl.float32)
        for start in range(0, end, BLOCK):
            bits, must = _read(scores, forced, base, start, end, n, BLOCK, FORCED)
            total += _worth(bits, bits >= 0, COUNT)
        target *= total
    threshold = tl.zeros((), tl.int32)
    for step in range(0, 31):
        candidate = threshold | (1 << (30 - step))
        if SINGLE:
            worth = _worth(bits, must | (bits >= candidate), COUNT)
        else:
            worth = tl.zeros((), tl.float32)
            for start in range(0, end, BLOCK):
                bits, must = _read(scores, forced, base, start, end, n, BLOCK, FORCED)
                worth += _worth(bits, must | (bits >= candidate), COUNT)
        threshold = tl.where(worth >= target, candidate, threshold)
    if not COUNT:
        threshold = tl.maximum(threshold, 1)  # a score of 0 adds nothing
    taken = tl.zeros((), tl.int32)
    for start in range(0, end, BLOCK):
        if not SINGLE:
            bits, must = _read(scores, forced, base, start, end, n, BLOCK, FORCED)
        keep = (must | (bits >= threshold)).to(tl.int32)
        at = taken + tl.cumsum(keep, 0) - 1
        tl.store(places + base + at, start + tl.arange(0, BLOCK), mask=keep == 1)
        taken += tl.sum(keep, 0)
    tl.store(counts + row, taken)


def select_keys(
    scores: Tensor,
    *,
    mass: Tensor | float | None = None,
    count: Tensor | int | None = None,
    forced: Tensor | None = None,
    allowed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.select_keys, on a device that Triton compiles for (or its interpreter)."""
    target = check_selection(scores, mass, count, forced, allowed)
    rows, n = scores.shape[:-1], scores.shape[-1]
    places = torch.full(scores.shape, n, dtype=torch.int32, device=scores.device)
    counts = torch.zeros(rows, dtype=torch.int32, device=scores.device)
    if scores.numel() == 0:
        return places, counts
    single = n <= HELD
    block = max(16, triton.next_power_of_2(n)) if single else HELD
    select_keys_kernel[(counts.numel(),)](
        scores.contiguous(),
        target.contiguous(),
        None if forced is None else forced.expand(scores.shape).contiguous().view(torch.uint8),
        None if allowed is None else allowed.expand(rows).contiguous(),
        places, counts, n,
        BLOCK=block, SINGLE=single, COUNT=count is not None, FORCED=forced is not None, LIMITED=allowed is not None,
        num_warps=8 if block > 2048 else 4 if block >= 512 else 1,
    )  # fmt: skip
    return places, counts
