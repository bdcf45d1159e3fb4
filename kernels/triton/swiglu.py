# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""The gate of a gated feed-forward layer: silu(gate) * up in one pass."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit(do_not_specialize=["width"])
def swiglu_kernel(x, y, width, stride, BLOCK: tl.constexpr):
    """x rows of 2 * width, `stride` apart: silu of the first half times the second -> y [rows, width] contiguous."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    live = at < width
    gate = tl.load(x + row * stride + at, mask=live, other=0.0).to(tl.float32)
    up = tl.load(x + row * stride + width + at, mask=live, other=0.0).to(tl.float32)
    opened = (gate / (1.0 + tl.exp(-gate))).to(y.dtype.element_ty).to(tl.float32)
    tl.store(y + row * width + at, (opened * up).to(y.dtype.element_ty), mask=live)


def swiglu(x: Tensor) -> Tensor:
    """As kernels.dispatch.swiglu."""
    width = x.shape[-1] // 2
    flat = x.reshape(-1, 2 * width)
    y = torch.empty((*x.shape[:-1], width), dtype=x.dtype, device=x.device)
    if y.numel():
        swiglu_kernel[(flat.shape[0], triton.cdiv(width, BLOCK))](
            flat, y, width, flat.stride(0), BLOCK=BLOCK, num_warps=4
        )
    return y
