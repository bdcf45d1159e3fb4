"""MemoryPlan: where a prompt's KV goes and how it is cut, decided by arithmetic before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from engine.errors import DoesNotFit
from engine.kv.host_cache import PAGE
from engine.models.fingerprint import ModelFingerprint

LEAST_CHUNK = 2048
"""Chunks are halved down to this before a prompt is refused."""
SPARE = 0.06
"""Share of the free memory that is left alone: fragments, kernels' own buffers, tails of questions."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that are free: on the device that computes, and on the host for KV (0 where the device is the host)."""

    device: int
    host: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How a prompt of `tokens` tokens is read.

    placement "device" keeps bfloat16 (the model's type) where it computes, "host" e4m3 pages in host memory. Bytes are
    what this prompt adds to what is in use already.
    """

    tokens: int
    placement: Literal["device", "host"]
    segment_tokens: int
    chunk_tokens: int
    kv_bytes: int
    device_bytes: int
    host_bytes: int

    def __str__(self) -> str:
        """One line for a person."""
        where = "in the model's own type on the device" if self.placement == "device" else "as e4m3 in host memory"
        return (
            f"KV {self.kv_bytes / 2**30:.2f} GiB {where}, {self.device_bytes / 2**30:.2f} GiB of device memory in all, "
            f"segments of {self.segment_tokens:,} tokens in chunks of {self.chunk_tokens:,}"
        )


def free_memory(device: torch.device) -> Memory:
    """What the device and the host have free now."""
    import psutil

    host = int(psutil.virtual_memory().available)
    if device.type != "cuda":
        return Memory(host, 0)
    free, _ = torch.cuda.mem_get_info(device)
    return Memory(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device), host)


def plan_memory(
    model: ModelFingerprint, config: Any, tokens: int, memory: Memory, *, chunk_tokens: int, segment_tokens: int
) -> MemoryPlan:
    """The first way that fits: KV on the device before KV on the host, larger pieces before smaller ones.

    `config` is transformers'. What the session store keeps is always cut into chunks of `chunk_tokens`. A prompt on the
    host is one segment where its hidden states fit, so that no key is brought back. Raises DoesNotFit.
    """
    room = Memory(int(memory.device * (1 - SPARE)), int(memory.host * (1 - SPARE)))
    least = None
    for placement in ("device", "host") if memory.host else ("device",):
        chunks = _halves(chunk_tokens, LEAST_CHUNK) if placement == "host" else [chunk_tokens]
        for chunk in chunks:
            for segment in _halves(tokens if placement == "host" else segment_tokens, chunk):
                made = _priced(model, config, tokens, placement, min(segment, tokens), chunk)
                if made.device_bytes <= room.device and made.host_bytes <= room.host:
                    return made
                least = made
    assert least is not None
    raise DoesNotFit(tokens, least.device_bytes, memory.device, least.host_bytes, memory.host)


def _halves(most: int, least: int) -> list[int]:
    """most, most / 2, … down to least."""
    sizes = [most]
    while sizes[-1] // 2 >= least:
        sizes.append(sizes[-1] // 2)
    return sizes


def _priced(model: ModelFingerprint, config: Any, tokens: int, placement: Any, segment: int, chunk: int) -> MemoryPlan:
    """What one way takes; the work of a chunk is its widest layer's tensors, checked against measured peaks."""
    item = 4 if model.dtype == "float32" else 2
    row = model.kv_heads * model.head_dim
    attention = (model.heads * 2 + model.kv_heads * 2) * model.head_dim
    work = min(chunk, segment) * (3 * config.intermediate_size + 4 * config.hidden_size + attention) * item
    work += segment * (2 * config.hidden_size + 6 * model.head_dim) * item
    if placement == "device":
        kv = model.kv_bytes_per_token * tokens
        return MemoryPlan(tokens, "device", segment, chunk, kv, kv + work, 0)
    pages = -(-tokens // PAGE)
    kv = 2 * model.layers * row * pages * PAGE
    hot = 2 * 2 * row * pages * PAGE * item
    summaries = model.layers * pages * (row * item + 2 * model.kv_heads * 4)
    return MemoryPlan(tokens, "host", segment, chunk, kv, hot + summaries + work, kv)
