"""Attention on tensors: dense and sparse prefill, decode, and what estimates where attention goes.

Every operation has a plain torch reference (`kernels.reference`) and a Triton kernel (`kernels.triton`) under the same
name; `kernels.cpu` is the fast path without a GPU. Callers use the names below; `kernels.dispatch` picks the path.
"""

from kernels.dispatch import dense_attention, sparse_attention
from kernels.errors import ArgumentError, BackendUnavailable, KernelError
from kernels.index import BlockIndex
from kernels.merge import merge_attention

__all__ = [
    "ArgumentError",
    "BackendUnavailable",
    "BlockIndex",
    "KernelError",
    "dense_attention",
    "merge_attention",
    "sparse_attention",
]
