"""Dense attention on a CPU: torch's flash kernel over the prefix and over the diagonal, merged by lse."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.fp8 import dequantize
from kernels.merge import merge_attention
from kernels.problem import Problem, check


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
    """As kernels.reference.dense_attention."""
    sizes = check(q, k, v, scale=scale, causal=causal, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale)
    k, v = dequantize(k, k_scale, q.dtype), dequantize(v, v_scale, q.dtype)
    if q_lens is not None or kv_lens is not None:
        return _ragged(q, k, v, sizes, causal, q_lens, kv_lens)
    return _attend(q, k, v, sizes, causal)


def flash(
    q: Tensor, k: Tensor, v: Tensor, scale: float, *, causal: bool = False, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """torch's CPU flash attention [B, H, T, D] with its logsumexp [B, H, Tq]; causal means top-left, mask is added."""
    out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, causal, attn_mask=mask, scale=scale
    )
    return out, lse.float()


def _attend(q: Tensor, k: Tensor, v: Tensor, sizes: Problem, causal: bool) -> tuple[Tensor, Tensor]:
    q_len, kv_len = q.shape[2], k.shape[2]
    if q_len == 0 or kv_len == 0:
        return torch.zeros_like(q), torch.full(q.shape[:3], -torch.inf)
    if not causal or q_len == 1:
        return _whole(q, k, v, sizes)
    out, lse = _diagonal(q, k[:, :, kv_len - q_len :], v[:, :, kv_len - q_len :], sizes)
    if q_len == kv_len:
        return out, lse
    before, lse_before = _whole(q, k[:, :, : kv_len - q_len], v[:, :, : kv_len - q_len], sizes)
    return merge_attention(before, lse_before, out, lse)


def _whole(q: Tensor, k: Tensor, v: Tensor, sizes: Problem) -> tuple[Tensor, Tensor]:
    """Every query sees every key: the heads of a group are just more rows over their KV head."""
    rows = q.reshape(q.shape[0], sizes.kv_heads, -1, sizes.head_dim)
    out, lse = flash(rows, k, v, sizes.scale)
    return out.reshape(q.shape), lse.reshape(q.shape[:3])


def _diagonal(q: Tensor, k: Tensor, v: Tensor, sizes: Problem) -> tuple[Tensor, Tensor]:
    """Query i sees keys 0..i: one KV head is shown to the heads of its group through a stride of 0."""
    folded = (q.shape[0] * sizes.kv_heads, sizes.group)
    q = q.reshape(*folded, *q.shape[2:])
    k, v = (x.flatten(0, 1).unsqueeze(1).expand(*folded, *x.shape[2:]) for x in (k, v))
    out, lse = flash(q, k, v, sizes.scale, causal=True)
    return out.reshape(-1, sizes.heads, *out.shape[2:]), lse.reshape(-1, sizes.heads, out.shape[2])


def _ragged(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sizes: Problem,
    causal: bool,
    q_lens: Tensor | None,
    kv_lens: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Sequence by sequence, each at its own length; what is behind a sequence's end is out 0, lse -inf."""
    out, lse = torch.zeros_like(q), torch.full(q.shape[:3], -torch.inf)
    for b in range(sizes.batch):
        nq = sizes.q_len if q_lens is None else int(q_lens[b])
        nk = sizes.kv_len if kv_lens is None else int(kv_lens[b])
        part = slice(b, b + 1)
        o, s = _attend(q[part, :, :nq], k[part, :, :nk], v[part, :, :nk], sizes, causal)
        out[part, :, :nq], lse[part, :, :nq] = o, s
    return out, lse
