# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Root-mean-square norm: one program a row, read once, written once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.strides import rows_of


@triton.jit(do_not_specialize=["inner"])
def rms_norm_kernel(
    x, weight, y, inner, stride_outer, stride_inner, eps,
    DIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """x rows of DIM, `inner` of them stride_inner apart within each stride_outer -> y [rows, DIM] contiguous."""
    row = tl.program_id(0).to(tl.int64)
    place = row // inner * stride_outer + row % inner * stride_inner
    dim = tl.arange(0, BLOCK)
    live = dim < DIM
    value = tl.load(x + place + dim, mask=live, other=0.0).to(tl.float32)
    scale = tl.math.rsqrt(tl.sum(value * value, 0) / DIM + eps)
    normed = (value * scale).to(y.dtype.element_ty).to(tl.float32)
    factor = tl.load(weight + dim, mask=live, other=0.0).to(tl.float32)
    tl.store(y + row * DIM + dim, (normed * factor).to(y.dtype.element_ty), mask=live)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """As kernels.dispatch.rms_norm."""
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    dim = x.shape[-1]
    rows = x.numel() // dim
    if rows:
        x, inner, outer_stride, inner_stride = rows_of(x)
        block = triton.next_power_of_2(dim)
        rms_norm_kernel[(rows,)](
            x, weight, y, inner, outer_stride, inner_stride, eps,
            DIM=dim, BLOCK=block, num_warps=min(max(block // 512, 1), 8),
        )  # fmt: skip
    return y
