"""The gate of a gated feed-forward layer, plain torch."""

from __future__ import annotations

import torch
from torch import Tensor


def swiglu(x: Tensor) -> Tensor:
    """As kernels.dispatch.swiglu."""
    gate, up = x.chunk(2, -1)
    return torch.nn.functional.silu(gate).mul_(up)
