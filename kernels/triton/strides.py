"""How kernels find a tensor in memory: as the bulk copy engine of Hopper asks, or as rows."""

from __future__ import annotations

import itertools

from torch import Tensor


def descriptor_strides(x: Tensor) -> list[int] | None:
    """Strides under which a tensor descriptor can address x, or None: 16-byte steps, the last dimension dense."""
    item = x.element_size()
    strides = list(x.stride())
    for d in range(x.dim() - 1):
        if x.shape[d] == 1:
            strides[d] = -(-x.numel() * item // 16) * 16 // item  # never stepped over: any legal value
    legal = strides[-1] == 1 and all(s > 0 and s * item % 16 == 0 for s in strides[:-1])
    return strides if legal and x.data_ptr() % 16 == 0 else None


def rows_of(x: Tensor) -> tuple[Tensor, int, int, int]:
    """x [..., A, D] as rows of D: (x, A, stride between runs of A rows, stride within a run); copies where it must."""
    lead = [d for d in range(x.dim() - 2) if x.shape[d] > 1]
    even = all(x.stride(a) == x.stride(b) * x.shape[b] for a, b in itertools.pairwise(lead))
    if x.dim() == 1 or x.stride(-1) != 1 or not even:
        x = x.contiguous()
        return x, 1, x.shape[-1], 0
    return x, x.shape[-2], x.stride(lead[-1]) if lead else 0, x.stride(-2)
