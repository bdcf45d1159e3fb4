"""Int8 weights for decode steps on a CPU: a step reads every weight once, and half the bytes take half the time.

One scale per output row, symmetric. Only steps of few sequences use them (DESIGN: prefill and with it everything that
is kept stays as it is); what it costs in perplexity is measured by tests/benchmarks/perplexity.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from engine.models.fused import FusedLayer

ROWS = 4
"""Sequences up to which int8 is faster; with 32 the bfloat16 product is (measured on two AVX-512 cores)."""

_stepping: ContextVar[bool] = ContextVar("omnibus_stepping", default=False)


@contextmanager
def stepping() -> Iterator[None]:
    """Products in the block belong to a decode step."""
    token = _stepping.set(True)
    try:
        yield
    finally:
        _stepping.reset(token)


class Int8Linear(nn.Linear):
    """A bfloat16 Linear that multiplies by int8 weights in decode steps of up to ROWS sequences."""

    def __init__(self, linear: nn.Linear) -> None:
        with torch.device("meta"):
            super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None)
        self.weight, self.bias = linear.weight, linear.bias
        scale = (linear.weight.float().abs().amax(1) / 127).clamp_min(1e-12).bfloat16()
        codes = (linear.weight.float() / scale.float().unsqueeze(1)).round().clamp(-127, 127)
        self.codes: Tensor
        self.scale: Tensor
        self.register_buffer("codes", codes.to(torch.int8), persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out]."""
        rows = x.numel() // x.shape[-1]
        if not _stepping.get() or rows > ROWS:
            return super().forward(x)
        out: Tensor = torch._weight_int8pack_mm(x.reshape(rows, -1), self.codes, self.scale)
        if self.bias is not None:
            out += self.bias
        return out.view(*x.shape[:-1], -1)


@torch.no_grad()
def use_int8_steps(model: Any) -> bool:
    """Give every fused layer and the head int8 weights beside their own; False where they cannot pay here."""
    weight = model.lm_head.weight
    fused = [layer for layer in model.model.layers if isinstance(layer, FusedLayer)]
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16 or not fused:
        return False
    for layer in fused:
        for name in ("qkv", "out", "gate_up", "down"):
            setattr(layer, name, Int8Linear(getattr(layer, name)))
    model.lm_head = Int8Linear(model.lm_head)
    return True
