"""KVCache: keys and values of one sequence, preallocated, in the form that transformers' models fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class KVLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer: keys and values [1, Hkv, capacity, D], of which the first `length` tokens are filled."""

    is_sliding = False
    is_croppable = True

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.length = 0
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: the tensors exist from the start."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append [1, Hkv, T, D] and return views of everything so far."""
        end = self.length + key_states.shape[2]
        if end > self.keys.shape[2]:
            self._grow(end)
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _grow(self, tokens: int) -> None:
        capacity = max(tokens, self.keys.shape[2] + self.keys.shape[2] // 2)
        for name in ("keys", "values"):
            old: Tensor = getattr(self, name)
            new = old.new_empty(old.shape[0], old.shape[1], capacity, old.shape[3])
            new[:, :, : self.length] = old[:, :, : self.length]
            setattr(self, name, new)

    def get_seq_length(self) -> int:
        """Tokens filled."""
        return self.length

    def get_max_length(self) -> int:
        """No maximum: the layer grows."""
        return -1

    def get_max_cache_shape(self) -> int:
        """The name that older transformers 5 releases use for `get_max_length`."""
        return -1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Key length and offset for transformers' own mask builders."""
        return self.length + query_length, 0


class KVCache(Cache):  # type: ignore[misc]
    """All layers of one sequence. Layers may differ in length while a segment is prefilled layer by layer.

    `base` tokens stand before its own, kept elsewhere; lengths and positions count them.
    """

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], *, base: int = 0) -> None:
        """Over keys and values [1, Hkv, capacity, D] per layer, none filled yet."""
        super().__init__(layers=[KVLayer(keys, values) for keys, values in layers])
        self.device, self.base = layers[0][0].device, base

    @classmethod
    def empty(
        cls, layers: int, kv_heads: int, head_dim: int, *, capacity: int, dtype: torch.dtype, device: torch.device
    ) -> KVCache:
        """A cache with memory of its own for `capacity` tokens."""
        shape = (1, kv_heads, capacity, head_dim)
        room = [tuple(torch.empty(shape, dtype=dtype, device=device) for _ in range(2)) for _ in range(layers)]
        return cls(room)  # type: ignore[arg-type]

    @property
    def length(self) -> int:
        """Tokens that every layer holds, and those before them."""
        return self.base + min(int(layer.length) for layer in self.layers)

    def layer(self, i: int) -> tuple[Tensor, Tensor]:
        """Keys and values of layer i, views [1, Hkv, tokens, D]."""
        layer = self.layers[i]
        return layer.keys[:, :, : layer.length], layer.values[:, :, : layer.length]

    def truncate(self, tokens: int) -> None:
        """Forget everything behind the first `tokens` tokens; the memory stays."""
        for layer in self.layers:
            layer.length = min(layer.length, tokens - self.base)

    def fill(self, tokens: int) -> None:
        """Take what was written for the first `tokens` tokens as it is."""
        for layer in self.layers:
            layer.length = tokens - self.base

    def begin_layer(self, i: int) -> None:
        """Layer i is about to be filled: nothing to do where every layer stays where it is."""

    def end_layer(self, i: int) -> None:
        """Layer i has been filled."""

    def commit(self, tokens: int) -> None:
        """Every layer has been filled up to `tokens` tokens."""

    def span(self, start: int, end: int) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of tokens start..end per layer, views [Hkv, T, D]."""
        return [(layer.keys[0, :, start:end], layer.values[0, :, start:end]) for layer in self.layers]
