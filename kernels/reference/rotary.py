"""Rotary positions, plain torch."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """As kernels.dispatch.rotate."""
    width = cos.shape[-1]
    half = width // 2
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)  # one angle for all heads of a token
    first, second = x[..., :half], x[..., half:width]
    turned = torch.cat((-second, first), -1)
    x[..., :width] = x[..., :width] * cos + turned * sin
