"""Many queries over one prefix: the prefix's keys and values are read once for all of them."""

from __future__ import annotations

from torch import Tensor

from kernels.dispatch import decode_attention, dense_attention
from kernels.errors import ArgumentError
from kernels.merge import merge_attention


def shared_prefix_attention(
    q: Tensor,
    prefix_k: Tensor,
    prefix_v: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention of q [B, H, Tq, D] over a prefix [1, Hkv, P, D] that all share, then over its own k, v [B, Hkv, Tk, D].

    kv_lens int32 [B] says how many own keys each sequence has (the queries are the last of them); k_scale and v_scale
    belong to an e4m3 prefix. Returns (out like q, lse [B, H, Tq]). Raises ArgumentError.
    """
    if prefix_k.shape[0] != 1 or prefix_k.shape[1] != k.shape[1]:
        raise ArgumentError("prefix_k", f"of shape {list(prefix_k.shape)}", f"[1, {k.shape[1]}, P, {k.shape[3]}]")
    batch, heads, tokens, dim = q.shape
    rows = q.transpose(0, 1).reshape(1, heads, batch * tokens, dim)
    out, lse, _ = decode_attention(
        rows, prefix_k, prefix_v, scale=scale, causal=False, k_scale=k_scale, v_scale=v_scale
    )
    before = out.view(heads, batch, tokens, dim).transpose(0, 1), lse.view(heads, batch, tokens).transpose(0, 1)
    q_lens = None if kv_lens is None or tokens == 1 else kv_lens.clamp_max(tokens)
    if tokens == 1:
        own, own_lse, _ = decode_attention(q, k, v, scale=scale, kv_lens=kv_lens)
    else:
        own, own_lse = dense_attention(q, k, v, scale=scale, q_lens=q_lens, kv_lens=kv_lens)
    return merge_attention(before[0], before[1], own, own_lse)
