"""Which implementation runs: OMNIBUS_KERNELS=triton|torch, else Triton on a GPU and torch on a CPU."""

from __future__ import annotations

import functools
import os
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from kernels.errors import ArgumentError, BackendUnavailable
from kernels.index import BlockIndex

Backend = Literal["triton", "torch"]


def backend(device: torch.device) -> Backend:
    """The backend for tensors on this device; raises BackendUnavailable where the one asked for cannot run."""
    wanted = os.environ.get("OMNIBUS_KERNELS", "").strip().lower()
    if wanted not in ("", "triton", "torch"):
        raise ArgumentError("OMNIBUS_KERNELS", repr(wanted), "triton or torch")
    if wanted == "torch":
        return "torch"
    runnable = device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    if runnable and not _has_triton():
        runnable = False
    if wanted == "triton" and not runnable:
        raise BackendUnavailable(
            "triton", f"they need Triton and a GPU (or TRITON_INTERPRET=1), tensors are on {device}"
        )
    return "triton" if runnable and (wanted == "triton" or device.type == "cuda") else "torch"


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
    """Attention of q [B, H, Tq, D] over k, v [B, Hkv, Tk, D], bottom-right causal: (out like q, lse [B, H, Tq]).

    H is a multiple of Hkv (grouped query heads; K and V are never expanded). q_lens and kv_lens, int32 [B], give each
    sequence's own lengths, left aligned; behind them out is 0 and lse -inf. k and v may be float8_e4m3fn with
    k_scale, v_scale float32 [B, Hkv, 1 or blocks] (see kernels.fp8). lse is float32, natural log. Raises ArgumentError.
    """
    operation = _module("dense_attention", q.device).dense_attention
    result: tuple[Tensor, Tensor] = operation(
        q, k, v, scale=scale, causal=causal, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale
    )
    return result


def sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    index: BlockIndex,
    *,
    scale: float | None = None,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As dense_attention, causal, over the (query, key) pairs of `index` only."""
    operation = _module("sparse_attention", q.device).sparse_attention
    result: tuple[Tensor, Tensor] = operation(
        q, k, v, index, scale=scale, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale
    )
    return result


def _module(operation: str, device: torch.device) -> ModuleType:
    """The module that implements an operation for tensors on this device."""
    if backend(device) == "triton":
        return _load("triton", operation)
    return _load("cpu" if device.type == "cpu" else "reference", operation)


@functools.cache
def _load(folder: str, operation: str) -> ModuleType:
    return __import__(f"kernels.{folder}.{operation}", fromlist=[operation])


@functools.cache
def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True
