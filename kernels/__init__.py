"""Attention on tensors: dense and sparse prefill, decode, estimates; and the small steps between matrix products.

Every operation has a plain torch reference (`kernels.reference`) and a Triton kernel (`kernels.triton`) under the same
name; `kernels.cpu` is the fast path without a GPU. Callers use the names below; `kernels.backend` picks the path.
"""

from kernels.dispatch import (
    antidiagonal_scores,
    choose_blocks,
    column_scores,
    column_shares,
    decode_attention,
    dense_attention,
    last_query_scores,
    quantize_pages,
    rms_norm,
    rotate,
    sampled_lse,
    sampled_scores,
    select_keys,
    sparse_attention,
    swiglu,
)
from kernels.errors import ArgumentError, BackendUnavailable, KernelError
from kernels.index import BlockIndex
from kernels.merge import merge_attention
from kernels.pages import Pages
from kernels.pooled_scores import pool, pooled_scores
from kernels.shared_prefix import prefix_attention, shared_prefix_attention

__all__ = [
    "ArgumentError",
    "BackendUnavailable",
    "BlockIndex",
    "KernelError",
    "Pages",
    "antidiagonal_scores",
    "choose_blocks",
    "column_scores",
    "column_shares",
    "decode_attention",
    "dense_attention",
    "last_query_scores",
    "merge_attention",
    "pool",
    "pooled_scores",
    "prefix_attention",
    "quantize_pages",
    "rms_norm",
    "rotate",
    "sampled_lse",
    "sampled_scores",
    "select_keys",
    "shared_prefix_attention",
    "sparse_attention",
    "swiglu",
]
