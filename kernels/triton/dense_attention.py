"""Dense attention by the Triton kernels."""

from __future__ import annotations

from torch import Tensor

from kernels.problem import check
from kernels.triton.launch import attend


def dense_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    causal: bool = True,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.dense_attention, on a device that Triton compiles for (or its interpreter)."""
    sizes = check(q, k, v, scale=scale, causal=causal, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale)
    return attend(
        q,
        k,
        v,
        sizes,
        causal=causal,
        index=None,
        q_lens=q_lens,
        kv_lens=kv_lens,
        k_scale=k_scale,
        v_scale=v_scale,
    )
