"""Which implementation runs: OMNIBUS_KERNELS=triton|torch, else Triton on a GPU and torch on a CPU."""

from __future__ import annotations

import functools
import os
from types import ModuleType
from typing import Literal

import torch

from kernels.errors import ArgumentError, BackendUnavailable

Backend = Literal["triton", "torch"]
ON_CPU = {"dense_attention", "sparse_attention", "decode_attention"}
"""Operations with a CPU path of their own; the reference of the others is as fast there."""


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


def module(operation: str, device: torch.device) -> ModuleType:
    """The module that implements an operation for tensors on this device."""
    if backend(device) == "triton":
        return _load("triton", operation)
    return _load("cpu" if device.type == "cpu" and operation in ON_CPU else "reference", operation)


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
