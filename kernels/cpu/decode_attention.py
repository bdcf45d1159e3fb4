"""Decode attention on a CPU: torch's flash kernel over what is read, nothing copied that is contiguous already."""

from __future__ import annotations

from torch import Tensor

from kernels.cpu.dense_attention import dense_attention
from kernels.pages import Pages
from kernels.reference.decode_attention import decode_attention as reference


def decode_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    causal: bool = True,
    kv_lens: Tensor | None = None,
    pages: Pages | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    mass_block: int | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As kernels.reference.decode_attention, which also serves pages and attention mass here."""
    if pages is not None or mass_block is not None:
        return reference(
            q, k, v, scale=scale, causal=causal, kv_lens=kv_lens, pages=pages, k_scale=k_scale, v_scale=v_scale,
            mass_block=mass_block,
        )  # fmt: skip
    out, lse = dense_attention(q, k, v, scale=scale, causal=causal, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale)
    return out, lse, None
