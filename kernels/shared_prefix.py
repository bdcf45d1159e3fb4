"""Many queries over one prefix: the prefix's keys and values are read once for all of them."""

from __future__ import annotations

from torch import Tensor

from kernels.dispatch import decode_attention, dense_attention
from kernels.errors import ArgumentError
from kernels.merge import merge_attention

FEW = 512
"""Up to so many query rows per KV head a GPU splits the keys among processors; above, the rows."""


def prefix_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    mass_block: int | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Attention of q [B, H, T, D], all behind keys k, v [1, Hkv, P, D] that they share: out, lse, mass.

    The queries of all sequences are rows of one problem. mass [B, H, T, blocks] as decode_attention gives it.
    """
    batch, heads, tokens, dim = q.shape
    rows = q.transpose(0, 1).reshape(1, heads, batch * tokens, dim)
    mass: Tensor | None = None
    if mass_block is not None or q.device.type == "cpu" or batch * tokens * heads <= FEW * k.shape[1]:
        out, lse, mass = decode_attention(
            rows, k, v, scale=scale, causal=False, k_scale=k_scale, v_scale=v_scale, mass_block=mass_block
        )
    else:
        out, lse = dense_attention(rows, k, v, scale=scale, causal=False, k_scale=k_scale, v_scale=v_scale)
    if mass is not None:
        mass = mass.view(heads, batch, tokens, -1).transpose(0, 1)
    return out.view(heads, batch, tokens, dim).transpose(0, 1), lse.view(heads, batch, tokens).transpose(0, 1), mass


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
    before, lse, _ = prefix_attention(q, prefix_k, prefix_v, scale=scale, k_scale=k_scale, v_scale=v_scale)
    q_lens = None if kv_lens is None or q.shape[2] == 1 else kv_lens.clamp_max(q.shape[2])
    if q.shape[2] == 1:
        own, own_lse, _ = decode_attention(q, k, v, scale=scale, kv_lens=kv_lens)
    else:
        own, own_lse = dense_attention(q, k, v, scale=scale, q_lens=q_lens, kv_lens=kv_lens)
    return merge_attention(before, lse, own, own_lse)
