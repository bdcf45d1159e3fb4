# mypy: allow-untyped-calls
"""Selection of the highest scores by bisection on their bits: no sort, no score leaves the device."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from kernels.problem import check_selection
from kernels.triton.select_long import DIGITS, PART, SLOTS, digit_kernel, list_kernel
from kernels.triton.select_short import select_short_kernel

HELD = 16384
"""Scores of a row that one program keeps in registers; longer rows are shared by several programs."""


def select_keys(
    scores: Tensor,
    *,
    mass: Tensor | float | None = None,
    count: Tensor | int | None = None,
    forced: Tensor | None = None,
    allowed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.select_keys, on a device that Triton compiles for (or its interpreter)."""
    target = check_selection(scores, mass, count, forced, allowed).float().contiguous()
    rows, n = scores.shape[:-1], scores.shape[-1]
    places = torch.full(scores.shape, n, dtype=torch.int32, device=scores.device)
    counts = torch.zeros(rows, dtype=torch.int32, device=scores.device)
    if scores.numel() == 0:
        return places, counts
    scores = scores.contiguous()
    must = None if forced is None else forced.expand(scores.shape).contiguous().view(torch.uint8)
    live = None if allowed is None else allowed.expand(rows).contiguous()
    flags = {"COUNT": count is not None, "FORCED": must is not None, "LIMITED": live is not None}
    if n <= HELD:
        block = max(16, triton.next_power_of_2(n))
        warps = 16 if block > 4096 else 8 if block > 2048 else 4 if block >= 512 else 1
        select_short_kernel[(counts.numel(),)](
            scores, target, must, live, places, counts, n, BLOCK=block, num_warps=warps, **flags
        )
        return places, counts
    parts = triton.cdiv(n, PART)
    grid = (parts, counts.numel())
    worths = torch.empty((2, counts.numel(), parts, SLOTS), dtype=torch.float32, device=scores.device)
    thresholds = torch.empty((DIGITS + 1, counts.numel()), dtype=torch.int32, device=scores.device)
    goals = torch.empty(counts.numel(), dtype=torch.float32, device=scores.device)
    kept = torch.empty((counts.numel(), parts), dtype=torch.int32, device=scores.device)
    for digit in range(DIGITS + 1):
        digit_kernel[grid](
            scores, target, must, live, worths, thresholds, goals, kept, n, parts, counts.numel(), digit,
            BLOCK=PART, SLOTS=SLOTS, DIGITS=DIGITS, num_warps=8, **flags,
        )  # fmt: skip
    before = kept.cumsum(1, dtype=torch.int32)
    counts.view(-1).copy_(before[:, -1])
    list_kernel[grid](
        scores, must, live, thresholds, before - kept, places, n, parts, counts.numel(),
        BLOCK=PART, DIGITS=DIGITS, num_warps=8, **flags,
    )  # fmt: skip
    return places, counts
