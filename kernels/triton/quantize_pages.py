# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""Pages in e4m3 with one scale each, and their means, in one pass over memory."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.problem import FP8


@triton.jit(do_not_specialize=["tokens", "heads", "pages"])
def quantize_pages_kernel(
    x, y, scale, means, tokens, heads, pages, stride_b, stride_h, stride_t,
    SIZE: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """x [B, H, T, D] -> y e4m3 (contiguous), scale float32 [B, H, pages], means [B, H, pages, D]."""
    page = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1).to(tl.int64)
    token = page * SIZE + tl.arange(0, SIZE)
    dim = tl.arange(0, BLOCK_D)
    live = (token < tokens)[:, None] & (dim < HEAD_DIM)[None, :]
    base = x + head // heads * stride_b + head % heads * stride_h
    values = tl.load(base + token[:, None] * stride_t + dim[None, :], mask=live, other=0.0).to(tl.float32)
    factor = tl.maximum(tl.max(tl.max(tl.abs(values), 1), 0) / 448.0, 1e-12)
    tl.store(scale + head * pages + page, factor)
    place = (head * tokens + token)[:, None] * HEAD_DIM + dim[None, :]
    tl.store(y + place, (values / factor).to(y.dtype.element_ty), mask=live)
    mean = tl.sum(values, 0) / tl.minimum(tokens - page * SIZE, SIZE)
    tl.store(means + (head * pages + page) * HEAD_DIM + dim, mean.to(means.dtype.element_ty), mask=dim < HEAD_DIM)


def quantize_pages(x: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """As kernels.dispatch.quantize_pages."""
    batch, heads, tokens, dim = x.shape
    if x.stride(-1) != 1:
        x = x.contiguous()
    pages = triton.cdiv(tokens, size)
    y = torch.empty(x.shape, dtype=FP8, device=x.device)
    scale = torch.empty((batch, heads, pages), dtype=torch.float32, device=x.device)
    means = torch.empty((batch, heads, pages, dim), dtype=x.dtype, device=x.device)
    if x.numel():
        quantize_pages_kernel[(pages, batch * heads)](
            x, y, scale, means, tokens, heads, pages, *x.stride()[:3],
            SIZE=size, HEAD_DIM=dim, BLOCK_D=triton.next_power_of_2(dim), num_warps=4,
        )  # fmt: skip
    return y, scale, means
