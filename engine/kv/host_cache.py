"""HostCache: keys and values kept in host memory as e4m3 pages, one layer at a time on the device while it is filled.

What stays on the device is what finds pages again: each page's scale and the mean of its keys. A layer's pages leave
on a side stream while the next layer computes.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from engine.kv.cache import KVLayer
from engine.kv.host_memory import host_memory
from engine.kv.paged_layer import PagedLayer
from kernels import quantize_pages
from kernels.fp8 import dequantize

PAGE = 64
STEP = 16384
"""Tokens that are quantised and copied at once."""


@dataclass(slots=True)
class HostLayer:
    """One layer: e4m3 keys and values [1, Hkv, capacity, D] in (pinned) host memory, the rest on the device.

    Scales float32 [1, Hkv, pages] and key means [1, Hkv, pages, D].
    """

    key_scales: Tensor
    value_scales: Tensor
    means: Tensor
    memory: Future[tuple[Tensor, Tensor]]

    @property
    def keys(self) -> Tensor:
        """Its keys; waits for their memory."""
        return self.memory.result()[0]

    @property
    def values(self) -> Tensor:
        """Its values; waits for their memory."""
        return self.memory.result()[1]


class HostCache(Cache):  # type: ignore[misc]
    """All layers of one sequence that is too long for the device; filled by prefill, read page-sparse by decode."""

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, *, capacity: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Room for `capacity` tokens (rounded up to pages), and for two layers of them on the device.

        Pinned memory comes slowly, so a thread allocates it layer by layer while the first layers compute.
        """
        pages = -(-capacity // PAGE)
        room = (1, kv_heads, pages * PAGE, head_dim)
        scales = torch.ones(2, layers, 1, kv_heads, pages, dtype=torch.float32, device=device)
        means = torch.zeros(layers, 1, kv_heads, pages, head_dim, dtype=dtype, device=device)
        hot = [
            KVLayer(torch.empty(room, dtype=dtype, device=device), torch.empty(room, dtype=dtype, device=device))
            for _ in range(min(2, layers))
        ]
        super().__init__(layers=[hot[i % len(hot)] for i in range(layers)])
        allocator = ThreadPoolExecutor(1, "omnibus-pinned")
        self.kept = [
            HostLayer(
                scales[0, i], scales[1, i], means[i], allocator.submit(_host_pair, room, pinned=device.type == "cuda")
            )
            for i in range(layers)
        ]
        allocator.shutdown(wait=False)
        self.length = 0
        self.device, self.dtype = device, dtype
        self._left: list[Any] = [None] * len(hot)
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @property
    def bytes(self) -> int:
        """Host memory that it takes."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.kept)

    def begin_layer(self, i: int) -> None:
        """Make layer i the hot one, with what is kept of it so far."""
        left = self._left[i % len(self._left)]
        if left is not None:
            torch.cuda.current_stream().wait_event(left)
        layer, kept = self.layers[i], self.kept[i]
        layer.length = 0
        for start in range(0, self.length, STEP):
            end = min(start + STEP, self.length)
            part, pages = slice(start, end), slice(start // PAGE, -(-end // PAGE))
            for hot, data, scale in (
                (layer.keys, kept.keys, kept.key_scales),
                (layer.values, kept.values, kept.value_scales),
            ):
                there = data[:, :, part].to(self.device, non_blocking=True)
                hot[:, :, part] = dequantize(there, _whole(scale[:, :, pages], end - start), self.dtype)
        layer.length = self.length

    def end_layer(self, i: int) -> None:
        """Take what was added to layer i into host memory; the device goes on meanwhile."""
        layer, start = self.layers[i], self.length // PAGE * PAGE
        if self._side is None:
            self._take(i, start, layer.length)
            return
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            self._take(i, start, layer.length)
            self._left[i % len(self._left)] = self._side.record_event()

    def commit(self, tokens: int) -> None:
        """Every layer now holds `tokens` tokens; waits until they are in host memory."""
        if self._side is not None:
            self._side.synchronize()
        self.length = tokens

    def truncate(self, tokens: int) -> None:
        """Forget everything behind the first `tokens` tokens."""
        if self._side is not None:
            self._side.synchronize()
        self.length = min(self.length, tokens)

    def fill(self, tokens: int) -> None:
        """Take what was written for the first `tokens` tokens as it is."""
        self.length = tokens

    def span(self, start: int, end: int) -> list[PagedLayer]:
        """The pages of tokens start..end, views; `start` is a page's."""
        pages = slice(start // PAGE, -(-end // PAGE))
        part = slice(start, pages.stop * PAGE)
        return [
            PagedLayer(
                kept.keys[0, :, part],
                kept.values[0, :, part],
                kept.key_scales[0, :, pages],
                kept.value_scales[0, :, pages],
                kept.means[0, :, pages],
            )
            for kept in self.kept
        ]

    def _take(self, i: int, start: int, end: int) -> None:
        layer, kept = self.layers[i], self.kept[i]
        for first in range(start, end, STEP):
            last = min(first + STEP, end)
            part, pages = slice(first, last), slice(first // PAGE, -(-last // PAGE))
            for hot, data, scale, means in (
                (layer.keys, kept.keys, kept.key_scales, kept.means),
                (layer.values, kept.values, kept.value_scales, None),
            ):
                data8, scale[:, :, pages], mean = quantize_pages(hot[:, :, part], PAGE)
                for head in range(data.shape[1]):  # each head's run is contiguous on both sides
                    data[:, head, part].copy_(data8[:, head], non_blocking=True)
                if means is not None:
                    means[:, :, pages] = mean


def _host_pair(shape: tuple[int, ...], *, pinned: bool) -> tuple[Tensor, Tensor]:
    keys, values = (host_memory(shape, torch.float8_e4m3fn, pinned=pinned) for _ in range(2))
    return keys, values


def _whole(scale: Tensor, tokens: int) -> Tensor:
    """Scales of pages as kernels.fp8 takes them: one block is one scale."""
    return scale if tokens > PAGE else scale[:, :, :1]
