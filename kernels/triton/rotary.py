# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Rotary positions in place: one program a token, all its heads with the same angles."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


@triton.jit(do_not_specialize=["tokens", "angles_batch"])
def rotate_kernel(
    x, cos, sin, tokens, angles_batch, stride_b, stride_t, stride_h,
    HEADS: tl.constexpr, BLOCK_H: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """x [B, T, H, D] in place by cos, sin [B or 1, T, 2 * HALF] (contiguous)."""
    token = tl.program_id(0)
    sequence = tl.program_id(1)
    dim = tl.arange(0, BLOCK)
    inside = dim < HALF
    angle = ((sequence % angles_batch).to(tl.int64) * tokens + token) * (2 * HALF) + dim
    cos_a = tl.load(cos + angle, mask=inside, other=0.0).to(tl.float32)[None, :]
    sin_a = tl.load(sin + angle, mask=inside, other=0.0).to(tl.float32)[None, :]
    cos_b = tl.load(cos + angle + HALF, mask=inside, other=0.0).to(tl.float32)[None, :]
    sin_b = tl.load(sin + angle + HALF, mask=inside, other=0.0).to(tl.float32)[None, :]
    base = x + sequence.to(tl.int64) * stride_b + token.to(tl.int64) * stride_t
    for first in tl.static_range(0, HEADS, BLOCK_H):
        head = first + tl.arange(0, BLOCK_H)
        place = base + head.to(tl.int64)[:, None] * stride_h + dim[None, :]
        live = (head < HEADS)[:, None] & inside[None, :]
        a = tl.load(place, mask=live, other=0.0).to(tl.float32)
        b = tl.load(place + HALF, mask=live, other=0.0).to(tl.float32)
        tl.store(place, (a * cos_a - b * sin_a).to(x.dtype.element_ty), mask=live)
        tl.store(place + HALF, (b * cos_b + a * sin_b).to(x.dtype.element_ty), mask=live)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """As kernels.dispatch.rotate."""
    batch, tokens, heads, _ = x.shape
    half = cos.shape[-1] // 2
    if x.numel():
        rotate_kernel[(tokens, batch)](
            x, cos.contiguous(), sin.contiguous(), tokens, cos.shape[0], *x.stride()[:3],
            HEADS=heads, BLOCK_H=8, HALF=half, BLOCK=triton.next_power_of_2(half), num_warps=4,
        )  # fmt: skip
