# mypy: allow-untyped-calls
"""From checked tensors to a launch of the attention kernel: configuration, descriptors, strides."""

from __future__ import annotations

import os
from dataclasses import replace

import torch
import triton
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from kernels import device
from kernels.device import Config
from kernels.fp8 import dequantize, scale_block
from kernels.index import BlockIndex
from kernels.problem import FP8, Problem
from kernels.triton import hopper_launch
from kernels.triton.forward import attention_forward_kernel
from kernels.triton.plan import gather_columns, padded_columns, plan
from kernels.triton.quantize_rows import quantize_rows
from kernels.triton.strides import descriptor_strides

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
_TUNE_FROM, _TUNE_UP_TO = 1 << 27, 1 << 37
"""Queries x keys x heads between which a first call tries the candidates: long enough to tell, short enough to wait."""


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sizes: Problem,
    *,
    causal: bool,
    index: BlockIndex | None,
    q_lens: Tensor | None,
    kv_lens: Tensor | None,
    k_scale: Tensor | None,
    v_scale: Tensor | None,
    config: Config | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention of checked arguments (see kernels.dispatch); `config` overrides the choice of tile sizes."""
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    if q.numel() == 0:
        return out, lse
    if k.shape[2] == 0:
        return out.zero_(), lse.fill_(-torch.inf)
    if (q_lens is None) != (kv_lens is None):
        full = torch.full((sizes.batch,), sizes.q_len if q_lens is None else sizes.kv_len, device=q.device)
        q_lens, kv_lens = (full.int(), kv_lens) if q_lens is None else (q_lens, full.int())
    q_scale: Tensor | None = None
    if k.dtype == FP8 and not runs_fp8(q.device):
        k, v, k_scale, v_scale = dequantize(k, k_scale, q.dtype), dequantize(v, v_scale, q.dtype), None, None
    elif k.dtype == FP8:
        q, q_scale = quantize_rows(q)
        one = torch.ones((sizes.batch, sizes.kv_heads, 1), device=q.device)
        k_scale, v_scale = (one if s is None else s.float().contiguous() for s in (k_scale, v_scale))
        if k_scale.shape != v_scale.shape:
            wide = max(k_scale.shape[2], v_scale.shape[2])
            k_scale, v_scale = (s.expand(-1, -1, wide).contiguous() for s in (k_scale, v_scale))
    lens = (q_lens, kv_lens)
    scales = (q_scale, k_scale, v_scale)
    if config is None:
        config = _choose(q, k, v, sizes, causal, index, lens, scales, out, lse)
    _launch(q, k, v, sizes, causal, index, lens, scales, out, lse, config)
    return out, lse


def runs_fp8(where: torch.device) -> bool:
    """Whether the tensor cores there multiply e4m3 (capability 8.9 and up; the interpreter does too)."""
    return device.capability(where) >= (8, 9) or INTERPRETED


def keys_innermost(v: Tensor) -> Tensor:
    """v [B, Hkv, T, D] with its tokens contiguous in memory, which 8-bit matrix units want; copies unless it is so."""
    if v.stride(2) == 1 and v.stride(3) % 16 == 0:
        return v
    batch, heads, tokens, dim = v.shape
    room = torch.empty((batch, heads, dim, -(-tokens // 16) * 16), dtype=v.dtype, device=v.device)
    return room[..., :tokens].copy_(v.transpose(2, 3)).transpose(2, 3)


def _choose(q, k, v, sizes, causal, index, lens, scales, out, lse) -> Config:  # type: ignore[no-untyped-def]
    choices = device.candidates(device.capability(q.device), k.element_size(), sizes.head_dim)
    if not hopper_launch.takes(q, k, v, sizes, index, lens, scales):
        choices = [choice for choice in choices if not choice.hopper]
    choices = list(dict.fromkeys(_fit(choice, index, sizes) for choice in choices))
    work = sizes.q_len * sizes.kv_len * sizes.heads * sizes.batch
    measure = None
    if q.device.type == "cuda" and _TUNE_FROM <= work <= _TUNE_UP_TO and not torch.cuda.is_current_stream_capturing():

        def measure(choice: Config) -> float:
            run = lambda: _launch(q, k, v, sizes, causal, index, lens, scales, out, lse, choice)  # noqa: E731
            return float(triton.testing.do_bench(run, warmup=5, rep=20, return_mode="median"))

    major, minor = device.capability(q.device)
    shape = f"d{sizes.head_dim}-{'sparse' if index is not None else 'dense'}"
    key = f"{triton.__version__}-sm{major}{minor}-{str(k.dtype)[6:]}-{shape}-q{min(choices[0].block_m, 128)}"
    return device.tuned(key, choices, measure)


def _fit(config: Config, index: BlockIndex | None, sizes: Problem) -> Config:
    """No tile larger than the index's blocks, nor much larger than the queries."""
    if config.hopper:
        return config
    block_m, block_n = config.block_m, config.block_n
    if index is not None:
        block_m, block_n = min(block_m, index.q_block), min(block_n, index.k_block)
    block_m = min(block_m, max(16, triton.next_power_of_2(sizes.q_len)))
    warps = config.num_warps if block_m >= config.block_m else min(config.num_warps, 4)
    return replace(config, block_m=block_m, block_n=block_n, num_warps=warps)


def precision(q: Tensor) -> str:
    """How float32 products are formed: exactly, on tensor cores by three products of halves where there are any."""
    if q.dtype != torch.float32:
        return "tf32"
    return "tf32x3" if device.capability(q.device)[0] >= 8 else "ieee"


def descriptor(x: Tensor, block: list[int]) -> TensorDescriptor | None:
    """A tensor descriptor of the 4-dimensional x, or None where its strides or its address do not allow one."""
    strides = descriptor_strides(x)
    return None if strides is None else TensorDescriptor(x, list(x.shape), strides, block)


def _launch(q, k, v, sizes, causal, index, lens, scales, out, lse, config) -> None:  # type: ignore[no-untyped-def]
    if config.hopper:
        hopper_launch.launch(q, k, v, sizes, causal, index, scales, out, lse, config)
        return
    q_lens, kv_lens = lens
    q_scale, k_scale, v_scale = scales
    fp8 = k.dtype == FP8
    v = keys_innermost(v) if fp8 else v
    block_d = triton.next_power_of_2(sizes.head_dim)
    block_n = max(config.block_n, 32) if fp8 else config.block_n  # e4m3 dots are 32 deep
    k_desc = v_desc = None
    # the copy engine wants 16-byte steps along the innermost dimension, which of 8-bit values is the tokens
    if config.descriptors and not (fp8 and index is not None and index.alignment % 16):
        k_desc = descriptor(k, [1, 1, block_n, block_d])
        if fp8:
            v_desc = descriptor(v.transpose(2, 3), [1, 1, block_d, block_n])
        else:
            v_desc = descriptor(v, [1, 1, block_n, block_d])
    descriptors = k_desc is not None and v_desc is not None
    tiles = triton.cdiv(sizes.q_len, config.block_m)
    spans = covered = listed = packed_k = packed_v = None
    index_args = (None, None, None)
    plan_batch, rows, groups, index_batch, words, capacity, padded, packed_per_kv = 1, 1, 1, 1, 0, 0, 0, 1
    if index is not None:
        planned = plan(index, sizes, q_lens, kv_lens)
        spans, covered = planned.spans, planned.covered
        index_args = (index.blocks, index.offsets, index.shifts)
        plan_batch, rows, groups, index_batch = spans.shape[0], index.rows, index.groups, index.batch
        words, capacity = covered.shape[-1], index.columns.shape[-1]
        if capacity:
            listed = padded_columns(index)
            packed_k, packed_v = gather_columns(k, index, sizes), gather_columns(v, index, sizes)
            capacity, padded, packed_per_kv = listed.shape[-1], packed_k.shape[2], packed_k.shape[1] // sizes.kv_heads
    keys_per_scale = 0
    if fp8 and k_scale.shape[2] > 1:
        keys_per_scale = scale_block(sizes.kv_len, k_scale.shape[2]) or 0
    attention_forward_kernel[(tiles * sizes.heads * sizes.batch,)](
        q, k, v, k_desc if descriptors else None, v_desc if descriptors else None, out, lse,
        *index_args, spans, covered, listed, packed_k, packed_v,
        q_lens, kv_lens, q_scale, k_scale, v_scale, None,
        *q.stride()[:3], *k.stride()[:3], *v.stride(), *out.stride()[:3],
        sizes.heads, sizes.group, tiles, sizes.q_len, sizes.kv_len, sizes.scale,
        index_batch, groups, sizes.heads // groups, plan_batch, rows, words, capacity, padded, packed_per_kv,
        k_scale.shape[2] if fp8 else 1,
        HEAD_DIM=sizes.head_dim, BLOCK_D=block_d, BLOCK_M=config.block_m, BLOCK_N=block_n,
        Q_BLOCK=index.q_block if index is not None else 1, K_BLOCK=index.k_block if index is not None else 1,
        CAUSAL=causal, SPARSE=index is not None, COLUMNS=capacity > 0, VARLEN=q_lens is not None,
        DESCRIPTORS=descriptors, FP8=fp8, SCALE_BLOCK=keys_per_scale, ORDERED=False,
        PRECISION=precision(q), WARP_SPECIALIZE=False,
        num_warps=config.num_warps, num_stages=config.num_stages,
    )  # fmt: skip
