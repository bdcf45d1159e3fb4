"""Pages in e4m3 and their means, plain torch."""

from __future__ import annotations

from torch import Tensor

from kernels.fp8 import quantize
from kernels.pooled_scores import pool


def quantize_pages(x: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """As kernels.dispatch.quantize_pages."""
    return *quantize(x, block=size), pool(x, size)
