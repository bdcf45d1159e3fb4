# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""The same search over rows of up to millions, shared by programs: four bits of the threshold in each pass."""

from __future__ import annotations

import triton
import triton.language as tl

from kernels.triton.select_short import read, worth

PART = 4096
"""Scores of a row that one program looks at."""
SLOTS = 16
"""Values of one digit of the threshold."""
DIGITS = 8
"""Digits of four bits, the highest of which has three."""


@triton.jit(do_not_specialize=["n", "parts", "rows", "digit"])
def digit_kernel(
    scores, targets, forced, allowed, worths, thresholds, goals, kept, n, parts, rows, digit,
    BLOCK: tl.constexpr, SLOTS: tl.constexpr, DIGITS: tl.constexpr, COUNT: tl.constexpr, FORCED: tl.constexpr,
    LIMITED: tl.constexpr,
):  # fmt: skip
    """One program per part of a row: settles the digit before, and sums what each value of the next would keep.

    worths float32 [2, rows, parts, SLOTS], by turns; thresholds int32 [DIGITS + 1, rows]: the bits known when a digit
    begins; goals float32 [rows]: what to reach. Behind the last digit: kept int32 [rows, parts], what stays of each.
    """
    part = tl.program_id(0)
    row = tl.program_id(1)
    slot = tl.arange(0, SLOTS)
    threshold = tl.zeros((), tl.int32)
    if digit > 0:
        reached = tl.zeros((SLOTS,), tl.float32)
        before = worths + (((digit - 1) % 2) * rows + row).to(tl.int64) * parts * SLOTS
        for other in range(0, parts):
            reached += tl.load(before + other * SLOTS + slot)
        goal = tl.load((targets if digit == 1 else goals) + row)
        usable = slot > 0
        if digit == 1:
            if not COUNT:
                goal *= tl.sum(tl.where(slot == 0, reached, 0.0), 0)
            if part == 0:
                tl.store(goals + row, goal)
            usable = usable & (slot < SLOTS // 2)  # the highest bit is the sign, and no score has it
        best = tl.max(tl.where(usable & (reached >= goal), slot, 0), 0)
        threshold = tl.load(thresholds + (digit - 1) * rows + row) | (best << (4 * (DIGITS - digit)))
    threshold = tl.where(digit == DIGITS, tl.maximum(threshold, 1), threshold)  # a score of 0 adds nothing
    if part == 0:
        tl.store(thresholds + digit * rows + row, threshold)
    end = n
    if LIMITED:
        end = tl.minimum(tl.load(allowed + row), n)
    bits, must = read(scores, forced, row.to(tl.int64) * n, part * BLOCK, end, BLOCK, FORCED)
    if digit == DIGITS:
        tl.store(kept + row * parts + part, tl.sum((must | (bits >= threshold)).to(tl.int32), 0))
    else:
        here = worths + ((digit % 2) * rows + row).to(tl.int64) * parts * SLOTS + part * SLOTS
        for value in range(0, SLOTS):
            candidate = threshold | (value << (4 * (DIGITS - 1 - digit)))
            tl.store(here + value, worth(bits, (must | (bits >= candidate)) & (bits >= 0), COUNT))


@triton.jit(do_not_specialize=["n", "parts", "rows"])
def list_kernel(
    scores, forced, allowed, thresholds, before, places, n, parts, rows,
    BLOCK: tl.constexpr, DIGITS: tl.constexpr, COUNT: tl.constexpr, FORCED: tl.constexpr, LIMITED: tl.constexpr,
):  # fmt: skip
    """Writes the places that one part of a row keeps behind those `before` it, int32 [rows, parts]."""
    part = tl.program_id(0)
    row = tl.program_id(1)
    base = row.to(tl.int64) * n
    threshold = tl.load(thresholds + DIGITS * rows + row)
    end = n
    if LIMITED:
        end = tl.minimum(tl.load(allowed + row), n)
    bits, must = read(scores, forced, base, part * BLOCK, end, BLOCK, FORCED)
    keep = (must | (bits >= threshold)).to(tl.int32)
    at = tl.load(before + row * parts + part) + tl.cumsum(keep, 0) - 1
    tl.store(places + base + at, part * BLOCK + tl.arange(0, BLOCK), mask=keep == 1)
