"""What the bulk copy engine of Hopper and later asks of a tensor in memory."""

from __future__ import annotations

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
