"""Exact combination of attention over disjoint key sets."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.errors import ArgumentError


def merge_attention(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over the union of two disjoint key sets, from attention over each.

    out_* [..., T, D], lse_* [..., T] (natural log, float32). A side that saw no key has lse = -inf and adds nothing.
    Returns (out in out_a's dtype, lse float32).
    """
    for name, out, lse in (("out_a", out_a, lse_a), ("out_b", out_b, lse_b)):
        if out.shape != out_a.shape or lse.shape != out.shape[:-1]:
            got = f"of shape {list(out.shape)} with lse {list(lse.shape)}"
            raise ArgumentError(name, got, f"{list(out_a.shape)} with lse {list(out_a.shape[:-1])}")
    lse = torch.logaddexp(lse_a, lse_b)
    empty = lse == -torch.inf
    share_a = torch.exp(lse_a - lse).masked_fill_(empty, 0).unsqueeze(-1)
    share_b = torch.exp(lse_b - lse).masked_fill_(empty, 0).unsqueeze(-1)
    return (out_a * share_a + out_b * share_b).to(out_a.dtype), lse
