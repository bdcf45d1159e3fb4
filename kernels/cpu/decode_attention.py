"""Decode attention on a CPU: few rows read many keys once, all sequences and heads of a group in one product."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.cpu.dense_attention import dense_attention
from kernels.pages import Pages
from kernels.problem import FP8, Problem, check
from kernels.reference.decode_attention import decode_attention as reference

FEW = 1 << 24
"""Rows x keys up to which their scores are kept at once (64 MB)."""
ROWS = 72
"""Rows per KV head at once: their scores stay in the cache, 1.8 times sooner than flash over 1,200 to 8,192 keys."""


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
    """As kernels.dispatch.decode_attention; scores are rounded to the dtype of q, everything behind them is float32."""
    sizes = check(q, k, v, scale=scale, causal=causal, kv_lens=kv_lens, pages=pages, k_scale=k_scale, v_scale=v_scale)
    single = q.shape[2] == 1 or not causal
    step = max(1, ROWS // sizes.group)
    if q.shape[2] > step and not causal and kv_lens is None and pages is None and k.dtype != FP8:
        parts = [
            decode_attention(x, k, v, scale=scale, causal=False, mass_block=mass_block) for x in torch.split(q, step, 2)
        ]
        outs, lses, masses = zip(*parts, strict=True)
        return torch.cat(outs, 2), torch.cat(lses, 2), None if mass_block is None else torch.cat(masses, 2)
    if pages is not None or k.dtype == FP8 or not k.shape[2] or (mass_block is not None and not single):
        return reference(
            q, k, v, scale=scale, causal=causal, kv_lens=kv_lens, pages=pages, k_scale=k_scale, v_scale=v_scale,
            mass_block=mass_block,
        )  # fmt: skip
    if not single or (sizes.batch * sizes.heads * sizes.q_len * sizes.kv_len > FEW and mass_block is None):
        return *dense_attention(q, k, v, scale=scale, causal=causal, kv_lens=kv_lens), None
    return _few(q, k, v, sizes, kv_lens, mass_block)


def _few(
    q: Tensor, k: Tensor, v: Tensor, sizes: Problem, kv_lens: Tensor | None, mass_block: int | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Every query sees every key of its sequence. Of several sequences none is cut to the longest of the others: what
    one gives must not depend, not even by rounding, on which stand beside it."""
    longest = int(kv_lens[0]) if kv_lens is not None and sizes.batch == 1 else sizes.kv_len
    rows = (q * sizes.scale).reshape(sizes.batch * sizes.kv_heads, -1, sizes.head_dim)
    k, v = (x[:, :, :longest].reshape(-1, longest, sizes.head_dim) for x in (k, v))
    scores = (rows @ k.transpose(1, 2)).float()
    behind: Tensor | None = None
    if kv_lens is not None and int(kv_lens.min()) < longest:
        behind = torch.arange(longest) >= kv_lens.repeat_interleave(sizes.kv_heads).unsqueeze(1)
        scores.masked_fill_(behind.unsqueeze(1), -torch.inf)
    # the largest score and its share give the sum: a second pass of exponentials is as dear as the products
    shares = scores.softmax(-1)
    lse = scores.amax(-1, keepdim=True) - shares.amax(-1, keepdim=True).log()
    if kv_lens is not None and int(kv_lens.min()) == 0:
        empty = scores.amax(-1, keepdim=True) == -torch.inf
        lse, shares = lse.masked_fill(empty, -torch.inf), shares.masked_fill(empty, 0)
    out = shares.to(v.dtype) @ v
    if behind is not None and not out.isfinite().all():  # padding may hold anything: 0 times that is 0 or not finite
        out = shares.to(v.dtype) @ v.masked_fill(behind.unsqueeze(2), 0)
    out = out.view(q.shape)
    mass = None
    if mass_block is not None:
        whole = torch.nn.functional.pad(shares, (0, -(-sizes.kv_len // mass_block) * mass_block - longest))
        mass = whole.view(*q.shape[:3], -1, mass_block).sum(-1)
    return out, lse.view(q.shape[:3]), mass
