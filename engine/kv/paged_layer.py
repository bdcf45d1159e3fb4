"""PagedLayer: one layer's KV as HostCache keeps it, in pages."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class PagedLayer(NamedTuple):
    """e4m3 keys and values [Hkv, P * page, D]; of each page, scales float32 [Hkv, P] and the keys' mean [Hkv, P, D]."""

    keys: Tensor
    values: Tensor
    key_scales: Tensor
    value_scales: Tensor
    means: Tensor
