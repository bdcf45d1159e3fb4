"""Roof: how fast a machine reads memory and multiplies, measured, and what that allows a piece of work at best."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from engine.bench.turns import timed

BYTES = {"cpu": 256 << 20, "cuda": 1 << 30}
"""Of each buffer: far more than a cache holds."""
SIDE = {"cpu": 2048, "cuda": 8192}
"""Of the square matrices that are multiplied."""
ROUNDS = 5
HOW = (
    "memory is the faster of a plain copy (bytes read and written) and a sum (bytes read) over buffers of "
    "{size} MiB, products are square ones of {side:,} in the model's number type; medians of {rounds}, in the same run"
)

Bound = Literal["memory", "products"]


@dataclass(frozen=True, slots=True)
class Work:
    """Floating-point operations in products, and bytes that must be moved."""

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, count: float) -> Work:
        return Work(self.flops * count, self.bytes * count)


@dataclass(frozen=True, slots=True)
class Roof:
    """Bytes a second that memory gives, operations a second that products reach, and how both were measured."""

    bytes_per_second: float
    flops_per_second: float
    how: str

    def floor(self, work: Work) -> tuple[float, Bound]:
        """The least seconds the work can take here, and what sets them."""
        memory, products = work.bytes / self.bytes_per_second, work.flops / self.flops_per_second
        return (memory, "memory") if memory >= products else (products, "products")


@torch.inference_mode()
def measure_roof(device: torch.device, dtype: torch.dtype) -> Roof:
    """The machine's own rates: a second or two on a CPU."""
    size, side = BYTES[device.type], SIDE[device.type]
    source = torch.zeros(size // 8, dtype=torch.int64, device=device)
    target = torch.empty_like(source)
    copied = 2 * size / _median(lambda: target.copy_(source), device)
    read = size / _median(lambda: source.sum(), device)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    products = 2 * side**3 / _median(lambda: a @ b, device)
    return Roof(max(copied, read), products, HOW.format(size=size >> 20, side=side, rounds=ROUNDS))


def _median(work: Callable[[], object], device: torch.device) -> float:
    work()
    return statistics.median(timed(work, device) for _ in range(ROUNDS))
