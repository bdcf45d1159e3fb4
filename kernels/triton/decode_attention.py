# mypy: allow-untyped-calls
"""Decode attention by the Triton kernels: how many splits, which tiles, and the merge."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from kernels import device
from kernels.errors import ArgumentError
from kernels.fp8 import dequantize, scale_block
from kernels.pages import Pages
from kernels.problem import FP8, check
from kernels.triton.decode import combine_kernel, decode_kernel
from kernels.triton.launch import precision, runs_fp8


@dataclass(frozen=True, slots=True)
class Tiles:
    """Launch parameters: rows and keys at once, warps, stages, programs that a processor holds."""

    block_m: int
    block_n: int
    num_warps: int
    num_stages: int
    resident: int


def tiles_for(capability: tuple[int, int], rows: int, head_dim: int, itemsize: int) -> Tiles:
    """What reads keys fastest (tests/benchmarks/NOTES.md has the comparison)."""
    block_m = min(max(16, triton.next_power_of_2(rows)), 128)
    if itemsize >= 4:
        return Tiles(16, 32, 8, 1, 1)
    if head_dim > 128:
        return Tiles(min(block_m, 32), 32, 8, 2, 1)
    if capability[0] in (9, 10):
        return Tiles(block_m, 64, 4, 3, 2) if block_m <= 64 else Tiles(block_m, 32, 8, 4, 2)
    return Tiles(min(block_m, 64), 32, 4, 3, 2)


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
    tiles: Tiles | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As kernels.dispatch.decode_attention, on a device that Triton compiles for (or its interpreter)."""
    sizes = check(q, k, v, scale=scale, causal=causal, kv_lens=kv_lens, pages=pages, k_scale=k_scale, v_scale=v_scale)
    if mass_block is not None and (mass_block < 16 or mass_block & (mass_block - 1)):
        raise ArgumentError("mass_block", str(mass_block), "a power of two of at least 16")
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    if q.numel() == 0 or k.shape[2] == 0:
        mass = (
            None if mass_block is None else q.new_zeros((*q.shape[:3], -(-k.shape[2] // mass_block)), dtype=lse.dtype)
        )
        return out.zero_(), lse.fill_(-torch.inf), mass
    fp8 = k.dtype == FP8
    if fp8 and not runs_fp8(q.device):
        k, v, fp8 = dequantize(k, k_scale, q.dtype), dequantize(v, v_scale, q.dtype), False
    if fp8:
        one = torch.ones((sizes.batch, sizes.kv_heads, 1), device=q.device)
        k_scale, v_scale = (one if s is None else s.float().contiguous() for s in (k_scale, v_scale))
        if k_scale.shape != v_scale.shape:
            wide = max(k_scale.shape[2], v_scale.shape[2])
            k_scale, v_scale = (s.expand(-1, -1, wide).contiguous() for s in (k_scale, v_scale))
    rows = sizes.group * sizes.q_len
    tiles = tiles or tiles_for(device.capability(q.device), rows, sizes.head_dim, q.element_size())
    block_n = min(tiles.block_n, pages.size if pages else tiles.block_n, mass_block or tiles.block_n)
    read = pages.numbers.shape[-1] * pages.size if pages else sizes.kv_len
    row_tiles = triton.cdiv(rows, tiles.block_m)
    heads = sizes.batch * sizes.kv_heads
    splits = device.processors(q.device) * tiles.resident // (heads * row_tiles)
    splits = max(1, min(splits, triton.cdiv(read, 4 * block_n)))
    parts = torch.empty((heads, splits, rows, sizes.head_dim), dtype=torch.float32, device=q.device)
    part_logs = torch.empty((heads, splits, rows), dtype=torch.float32, device=q.device)
    n_tiles = triton.cdiv(sizes.kv_len, block_n)
    tile_logs = None
    if mass_block is not None:
        tile_logs = torch.full((*q.shape[:3], n_tiles), -torch.inf, dtype=torch.float32, device=q.device)
    numbers, counts = (pages.numbers, pages.counts) if pages else (None, None)
    keys_per_scale = 0
    if fp8 and k_scale is not None and k_scale.shape[2] > 1:
        keys_per_scale = scale_block(sizes.kv_len, k_scale.shape[2]) or 0
    block_d = triton.next_power_of_2(sizes.head_dim)
    decode_kernel[(splits, row_tiles, heads)](
        q, k, v, parts, part_logs, tile_logs, kv_lens, numbers, counts, k_scale if fp8 else None,
        v_scale if fp8 else None, *q.stride()[:3], *k.stride()[:3], *v.stride(),
        sizes.kv_heads, sizes.group, sizes.q_len, sizes.kv_len, splits,
        *(counts.shape if counts is not None else (1, 1)), numbers.shape[-1] if numbers is not None else 0,
        k_scale.shape[2] if fp8 and k_scale is not None else 1, n_tiles, sizes.scale,
        HEAD_DIM=sizes.head_dim, BLOCK_D=block_d, BLOCK_M=tiles.block_m, BLOCK_N=block_n,
        PAGE=pages.size if pages else 0, CAUSAL=causal and sizes.q_len > 1, VARLEN=kv_lens is not None, FP8=fp8,
        SCALE_BLOCK=keys_per_scale, MASS=mass_block is not None, PRECISION=precision(q),
        num_warps=tiles.num_warps, num_stages=tiles.num_stages,
    )  # fmt: skip
    combine_kernel[(rows, heads)](
        parts, part_logs, out, lse, sizes.group, sizes.q_len, splits,
        HEAD_DIM=sizes.head_dim, BLOCK_D=block_d, TILE=16, num_warps=4,
    )  # fmt: skip
    if tile_logs is None or mass_block is None:
        return out, lse, None
    shares = torch.exp2(tile_logs - lse.unsqueeze(-1) * 1.4426950408889634).nan_to_num_(0.0)
    shares = torch.nn.functional.pad(shares, (0, -n_tiles % (mass_block // block_n)))
    return out, lse, shares.view(*shares.shape[:-1], -1, mass_block // block_n).sum(-1)
