"""Tails: what each of several sequences adds behind the prefix that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from engine.kv.cache import KVCache


class Fresh(Cache):  # type: ignore[misc]
    """Some sequences at their beginning: what they are given goes into their slots, behind the lead that all have.

    Sequences beyond the slots are there for the shape of the computation only.
    """

    def __init__(self, data: Tensor, lead: Tensor, slots: Sequence[int]) -> None:
        super().__init__(layers=[])
        self._data, self._lead, self._slots = data, lead, torch.tensor(slots, device=data.device)

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kw: Any) -> Any:
        """Keys and values [n, Hkv, T, D] behind the lead; both come back with the lead before them."""
        kept, led = len(self._slots), self._lead.shape[3]
        both = []
        for which, states in enumerate((key_states, value_states)):
            before = self._lead[layer_idx, which]  # [Hkv, led, D]
            whole = torch.cat([before.expand(states.shape[0], -1, -1, -1), states], 2) if led else states
            room = min(whole.shape[2], self._data.shape[4])  # padding may reach beyond
            self._data[layer_idx, which, self._slots, :, :room] = whole[:kept, :, :room]
            both.append(whole)
        return both[0], both[1]


class Tails(Cache):  # type: ignore[misc]
    """Keys and values [B, Hkv, capacity, D] per layer; sequence b holds `lengths[b]` tokens of its own.

    `room` int32 [B] on the device says the same to kernels, so that a captured step can count by itself.
    """

    def __init__(
        self,
        layers: int,
        kv_heads: int,
        head_dim: int,
        *,
        batch: int,
        capacity: int,
        base: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__(layers=[])
        shape = (layers, 2, batch, kv_heads, capacity, head_dim)
        self._data = torch.zeros(shape, dtype=dtype, device=device)
        self._lead = self._data[:, :, 0, :, :0]
        self._each = torch.arange(batch, device=device)
        self.base = base
        self.lengths = [0] * batch
        self.filled = torch.zeros(batch, dtype=torch.int32, device=device)

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kw: Any) -> Any:
        """Put one token of every sequence, [B, Hkv, 1, D], at its own place; everything there is so far."""
        keys, values = self._data[layer_idx]
        keys[self._each, :, self.filled] = key_states[:, :, 0]
        values[self._each, :, self.filled] = value_states[:, :, 0]
        return keys, values

    def slot(self, b: int) -> KVCache:
        """Sequence b alone, as prefill fills it; `take` its length afterwards."""
        one = slice(b, b + 1)
        cache = KVCache([(layer[0, one], layer[1, one]) for layer in self._data], base=self.base)
        cache.fill(self.base + self.lengths[b])
        return cache

    def fresh(self, slots: Sequence[int]) -> Fresh:
        """Empty sequences that are read together."""
        return Fresh(self._data, self._lead, slots)

    def keep_lead(self, tokens: int) -> None:
        """What sequence 0 begins with is what others may begin with."""
        self._lead = self._data[:, :, 0, :, :tokens].clone()

    def follow_lead(self, b: int) -> None:
        """Sequence b holds the lead and nothing else."""
        tokens = self._lead.shape[3]
        self._data[:, :, b, :, :tokens] = self._lead
        self.take(b, tokens)

    def take(self, b: int, tokens: int) -> None:
        """Sequence b now holds so many tokens of its own."""
        self.lengths[b] = tokens
        self.filled[b] = tokens
