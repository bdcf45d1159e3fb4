# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Bisection over a row that one program holds: the bits of a float that is not negative are ordered as integers."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def read(scores, forced, base, start, end, BLOCK: tl.constexpr, FORCED: tl.constexpr):
    """BLOCK scores as the integers their bits are (-1 where there is none to take), and which must be taken."""
    place = start + tl.arange(0, BLOCK)
    x = tl.load(scores + base + place, mask=place < end, other=-1.0).to(tl.float32)
    x = tl.where(x == 0, 0.0, x)  # minus zero
    bits = tl.where(x >= 0, x.to(tl.int32, bitcast=True), -1)
    if FORCED:
        must = (tl.load(forced + base + place, mask=place < end, other=0) != 0) & (bits >= 0)
    else:
        must = place < 0
    return bits, must


@triton.jit
def worth(bits, chosen, COUNT: tl.constexpr):
    """The sum of the chosen scores, or their number."""
    if COUNT:
        result = tl.sum(chosen.to(tl.float32), 0)
    else:
        result = tl.sum(tl.where(chosen, bits.to(tl.float32, bitcast=True), 0.0), 0)
    return result


@triton.jit
def lowest_kept(bits, must, target, COUNT: tl.constexpr):
    """The largest threshold of bits at which what is taken, `must` included, is still worth the target."""
    threshold = tl.zeros((), tl.int32)
    for step in range(0, 31):
        candidate = threshold | (1 << (30 - step))
        reached = worth(bits, must | (bits >= candidate), COUNT) >= target
        threshold = tl.where(reached, candidate, threshold)
    return tl.maximum(threshold, 1)  # a score of 0 adds nothing


@triton.jit(do_not_specialize=["n"])
def select_short_kernel(
    scores, targets, forced, allowed, places, counts, n,
    BLOCK: tl.constexpr, COUNT: tl.constexpr, FORCED: tl.constexpr, LIMITED: tl.constexpr,
):  # fmt: skip
    """One program per row of scores [rows, n]: the lowest score that is kept, then a list."""
    row = tl.program_id(0)
    base = row.to(tl.int64) * n
    end = n
    if LIMITED:
        end = tl.minimum(tl.load(allowed + row), n)
    target = tl.load(targets + row)
    bits, must = read(scores, forced, base, 0, end, BLOCK, FORCED)
    if not COUNT:
        target *= worth(bits, bits >= 0, COUNT)
    keep = (must | (bits >= lowest_kept(bits, must, target, COUNT))).to(tl.int32)
    at = tl.cumsum(keep, 0) - 1
    tl.store(places + base + at, tl.arange(0, BLOCK), mask=keep == 1)
    tl.store(counts + row, tl.sum(keep, 0))
