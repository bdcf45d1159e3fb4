# mypy: allow-untyped-calls
"""Launches the warp-specialised Hopper kernel, and says which calls it takes."""

from __future__ import annotations

import functools
import logging

import torch
import triton
from torch import Tensor

from kernels import device
from kernels.device import Config
from kernels.index import BlockIndex
from kernels.problem import FP8, Problem
from kernels.triton.plan import gather_columns, padded_columns, plan
from kernels.triton.strides import descriptor_strides

ROWS = 128
"""Queries per program: two warpgroups of 64."""

_log = logging.getLogger(__name__)


@functools.cache
def available() -> bool:
    """Whether this Triton has the Gluon dialect that the kernel is written in; said once in the log if not."""
    try:
        import kernels.triton.hopper  # noqa: F401
    except ImportError as reason:
        _log.warning("Hopper kernel not available with Triton %s: %s", triton.__version__, reason)
        return False
    return True


def takes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sizes: Problem,
    index: BlockIndex | None,
    lens: tuple[Tensor | None, Tensor | None],
    scales: tuple[Tensor | None, Tensor | None, Tensor | None],
) -> bool:
    """Whether the kernel can run this: sm_90, 16-bit or e4m3 per head, one length, blocks of 128."""
    if device.capability(q.device)[0] != 9 or lens != (None, None) or sizes.head_dim > 256 or not available():
        return False
    fp8 = k.dtype == FP8
    if k.element_size() > 2 or (fp8 and sizes.head_dim not in (64, 128)):
        return False
    if fp8 and any(s is None or s.shape[2] != 1 for s in scales[1:]):
        return False
    if index is not None and (index.q_block % ROWS or index.k_block % 128):
        return False
    if index is not None and fp8 and (index.alignment % 16 or index.columns.shape[-1]):
        return False
    return all(descriptor_strides(x) is not None for x in ((q, k) if fp8 else (q, k, v)))


def launch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sizes: Problem,
    causal: bool,
    index: BlockIndex | None,
    scales: tuple[Tensor | None, Tensor | None, Tensor | None],
    out: Tensor,
    lse: Tensor,
    config: Config,
) -> None:
    """Runs the kernel on checked arguments that `takes` accepts, into out and lse."""
    from kernels.triton.hopper import hopper_forward_kernel

    fp8 = k.dtype == FP8
    block_d = triton.next_power_of_2(sizes.head_dim)
    tiles = triton.cdiv(sizes.q_len, ROWS)
    nothing = _nothing(q.device)
    k_desc = _descriptor(k, [1, 1, config.block_n, block_d])
    if fp8:
        v_desc = _descriptor(permuted_keys(v), [1, 1, block_d, config.block_n])
    else:
        v_desc = _descriptor(v, [1, 1, config.block_n, block_d])
    packed_k_desc, packed_v_desc = k_desc, v_desc
    spans, covered, tables = nothing, nothing, (nothing, nothing, nothing, nothing)
    plan_batch, rows, groups, index_batch, words, capacity, packed_per_kv = 1, 1, 1, 1, 0, 0, 1
    if index is not None:
        planned = plan(index, sizes, None, None)
        spans, covered = planned.spans, planned.covered
        tables = (index.blocks, index.offsets, index.shifts, nothing)
        plan_batch, rows, groups, index_batch = spans.shape[0], index.rows, index.groups, index.batch
        words, capacity = covered.shape[-1], index.columns.shape[-1]
        if capacity:
            tables = (*tables[:3], padded_columns(index))
            capacity = tables[3].shape[-1]
            packed = [gather_columns(x, index, sizes) for x in (k, v)]
            packed_k_desc, packed_v_desc = (_descriptor(x, [1, 1, config.block_n, block_d]) for x in packed)
            packed_per_kv = packed[0].shape[1] // sizes.kv_heads
    q_scale, k_scale, v_scale = (nothing if s is None else s for s in scales)
    bundle = sizes.group  # heads over one KV head side by side, so that they share its keys through the L2 cache
    hopper_forward_kernel[(tiles * sizes.heads * sizes.batch,)](
        _descriptor(q, [1, 1, ROWS // 2, block_d]), k_desc, v_desc, packed_k_desc, packed_v_desc, out, lse,
        *tables[:3], spans, covered, tables[3], q_scale, k_scale, v_scale,
        *out.stride()[:3],
        sizes.heads, sizes.group, bundle, tiles, sizes.q_len, sizes.kv_len, sizes.scale,
        index_batch, groups, sizes.heads // groups, plan_batch, rows, words, capacity, packed_per_kv,
        HEAD_DIM=sizes.head_dim, BLOCK_D=block_d, BLOCK_N=config.block_n, STAGES=config.num_stages,
        Q_BLOCK=ROWS if index is None else index.q_block, K_BLOCK=config.block_n if index is None else index.k_block,
        CAUSAL=causal, SPARSE=index is not None, COLUMNS=capacity > 0, FP8=fp8,
        PRODUCER_REGISTERS=24, CONSUMER_REGISTERS=240,
        num_warps=4,
    )  # fmt: skip


def permuted_keys(v: Tensor) -> Tensor:
    """v [B, Hkv, T, D] in 8 bits as [B, Hkv, D, T'], T' the next multiple of 16, each 16 keys in the order in which
    the matrix unit's accumulator holds their weights (place bits t1 t0 b3 b0 hold key b3 t1 t0 b0)."""
    batch, heads, tokens, dim = v.shape
    padded = -(-tokens // 16) * 16
    bits = v.view(torch.uint8)
    if padded != tokens:
        bits = torch.nn.functional.pad(bits, (0, 0, 0, padded - tokens))
    bits = bits.view(batch, heads, padded // 16, 2, 4, 2, dim).permute(0, 1, 6, 2, 4, 3, 5)
    return bits.reshape(batch, heads, dim, padded).view(v.dtype)


@functools.cache
def _nothing(where: torch.device) -> Tensor:
    """Stands for a tensor that the kernel's variant does not read."""
    return torch.zeros(1, dtype=torch.int32, device=where)


def _descriptor(x: Tensor, block: list[int]):  # type: ignore[no-untyped-def]
    """A tensor descriptor with the swizzle that the matrix unit reads."""
    from triton.experimental.gluon.language import NVMMASharedLayout
    from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

    item = x.element_size()
    layout = NVMMASharedLayout(swizzle_byte_width=min(128, block[-1] * item), element_bitwidth=8 * item, rank=4)
    return TensorDescriptor(x, list(x.shape), descriptor_strides(x), block, layout)
