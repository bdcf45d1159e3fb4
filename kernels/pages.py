"""Pages: which pages of a KV cache a decode step reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.errors import ArgumentError


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """Page numbers per sequence and KV head, in any order, without repeats.

    Page p holds the keys [p * size, (p + 1) * size). numbers int32 [B or 1, Hkv or 1, P]; counts int32 [B or 1,
    Hkv or 1] says how many of the P are used. A page beyond a sequence's length adds nothing.
    """

    numbers: Tensor
    counts: Tensor
    size: int

    def __post_init__(self) -> None:
        if self.size < 16 or self.size & (self.size - 1):
            raise ArgumentError("pages.size", str(self.size), "a power of two of at least 16")
        if self.numbers.dim() != 3 or tuple(self.counts.shape) != tuple(self.numbers.shape[:2]):
            got = f"of shape {list(self.numbers.shape)} with counts {list(self.counts.shape)}"
            raise ArgumentError("pages.numbers", got, "[batch, KV heads, pages] with counts [batch, KV heads]")
        for name, tensor in (("numbers", self.numbers), ("counts", self.counts)):
            if tensor.dtype != torch.int32 or not tensor.is_contiguous():
                got = f"{tensor.dtype}, contiguous={tensor.is_contiguous()}"
                raise ArgumentError(f"pages.{name}", got, "contiguous int32")

    @classmethod
    def of(cls, numbers: Tensor, size: int, counts: Tensor | None = None) -> Pages:
        """All of `numbers` [B or 1, Hkv or 1, P], or the first `counts` of each."""
        if counts is None:
            counts = torch.full(numbers.shape[:2], numbers.shape[-1], device=numbers.device)
        return cls(numbers.int().contiguous(), counts.int().contiguous(), size)

    def to_mask(self, kv_len: int) -> Tensor:
        """The keys on these pages, bool [B or 1, Hkv or 1, kv_len] (for the reference and tests)."""
        live = torch.arange(self.numbers.shape[-1], device=self.numbers.device) < self.counts.unsqueeze(-1)
        chosen = torch.zeros(*self.numbers.shape[:2], -(-kv_len // self.size) + 1, dtype=torch.bool, device=live.device)
        chosen.scatter_(-1, self.numbers.long().masked_fill(~live, chosen.shape[-1] - 1), True)
        return chosen[..., :-1].repeat_interleave(self.size, dim=-1)[..., :kv_len]
