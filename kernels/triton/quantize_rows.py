# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Queries in e4m3 with one scale per row, in one pass over memory."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.problem import FP8


@triton.jit
def _quantize_rows_kernel(
    x, y, scale, rows, heads, tokens, stride_b, stride_h, stride_t,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    dim = tl.arange(0, BLOCK_D)
    place = row // (heads * tokens) * stride_b + row // tokens % heads * stride_h + row % tokens * stride_t
    live = row < rows
    keep = live[:, None] & (dim < HEAD_DIM)[None, :]
    values = tl.load(x + place[:, None] + dim[None, :], mask=keep, other=0.0).to(tl.float32)
    largest = tl.maximum(tl.max(tl.abs(values), 1) / 448.0, 1e-12)
    tl.store(scale + row, largest, mask=live)
    tl.store(y + row[:, None] * HEAD_DIM + dim[None, :], (values / largest[:, None]).to(y.dtype.element_ty), mask=keep)


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [B, H, T, D] as contiguous e4m3 and its float32 scale per row [B, H, T]."""
    batch, heads, tokens, dim = x.shape
    y = torch.empty(x.shape, dtype=FP8, device=x.device)
    scale = torch.empty(x.shape[:3], dtype=torch.float32, device=x.device)
    rows = batch * heads * tokens
    _quantize_rows_kernel[(triton.cdiv(rows, 32),)](
        x, y, scale, rows, heads, tokens, *x.stride()[:3],
        HEAD_DIM=dim, BLOCK_D=triton.next_power_of_2(dim), BLOCK=32,
    )  # fmt: skip
    return y, scale
