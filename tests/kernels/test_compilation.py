"""Every attention kernel compiles for Ampere, Hopper and Blackwell, without spills and within shared memory."""

from __future__ import annotations

import os
from typing import Any

import pytest

from kernels.device import Config, candidates

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter's kernels have nothing to compile", allow_module_level=True)

triton = pytest.importorskip("triton")

from tests.kernels.compiled import SHARED_LIMIT, compile_kernel  # noqa: E402

SIZES = {"bf16": 2, "fp16": 2, "fp32": 4, "fp8e4nv": 1}
SCALARS_SPILLED = 64
"""Bytes a thread of the Hopper kernel may spill: a few scalars around, never inside, the loop over whole blocks.
Float32, which is for checking, may spill more."""

ALL = [
    (capability, dtype, head_dim, sparse)
    for capability in (80, 90, 100)
    for dtype in SIZES
    for head_dim in (64, 80, 96, 128, 256)
    for sparse in (False, True)
    if capability >= 90 or dtype != "fp8e4nv"
]
QUICK = [case for case in ALL if (case[2] == 128 and case[1] in ("bf16", "fp8e4nv")) or case[1:] == ("bf16", 64, True)]


def portable_arguments(dtype: str, head_dim: int, config: Config, sparse: bool) -> dict[str, Any]:
    """Types and constants of the portable kernel, as kernels.triton.launch passes them."""
    from kernels.triton.forward import attention_forward_kernel

    fp8, block_d = dtype == "fp8e4nv", triton.next_power_of_2(head_dim)
    arguments: dict[str, Any] = dict.fromkeys(attention_forward_kernel.arg_names, "i32")
    arguments |= dict.fromkeys(("q", "k", "v"), f"*{dtype}")
    arguments |= {"out": "*bf16" if fp8 else f"*{dtype}", "lse": "*fp32", "order": None, "scale": "fp32"}
    tile = f"tensordesc<{dtype}[1, 1, {config.block_n}, {block_d}]>"
    turned = f"tensordesc<{dtype}[1, 1, {block_d}, {config.block_n}]>" if fp8 else tile
    arguments |= {"k_desc": tile, "v_desc": turned} if config.descriptors else {"k_desc": None, "v_desc": None}
    tables = ("blocks", "offsets", "shifts", "spans", "covered", "columns")
    arguments |= dict.fromkeys(tables, "*i32" if sparse else None)
    arguments |= dict.fromkeys(("packed_k", "packed_v"), f"*{dtype}" if sparse else None)
    arguments |= dict.fromkeys(("q_lens", "kv_lens"))
    arguments |= dict.fromkeys(("q_scale", "k_scale", "v_scale"), "*fp32" if fp8 else None)
    if not fp8:
        arguments["stride_vd"] = 1
    return arguments | {
        "HEAD_DIM": head_dim,
        "BLOCK_D": block_d,
        "BLOCK_M": config.block_m,
        "BLOCK_N": config.block_n,
        "Q_BLOCK": 128,
        "K_BLOCK": 128,
        "CAUSAL": True,
        "SPARSE": sparse,
        "COLUMNS": sparse,
        "VARLEN": False,
        "DESCRIPTORS": config.descriptors,
        "FP8": fp8,
        "SCALE_BLOCK": 0,
        "ORDERED": False,
        "PRECISION": "tf32x3" if dtype == "fp32" else "tf32",
        "WARP_SPECIALIZE": False,
    }


def hopper_arguments(dtype: str, head_dim: int, config: Config, sparse: bool) -> dict[str, Any]:
    """Types and constants of the Hopper kernel, as kernels.triton.hopper_launch passes them."""
    from triton.experimental.gluon.language import NVMMASharedLayout

    from kernels.triton.hopper import hopper_forward_kernel

    fp8, block_d, block_n = dtype == "fp8e4nv", triton.next_power_of_2(head_dim), config.block_n
    bits = 8 * SIZES[dtype]

    def tile(rows: int, width: int) -> str:
        layout = NVMMASharedLayout(min(128, width * bits // 8), bits, rank=4)
        return f"tensordesc<{dtype}[1, 1, {rows}, {width}],{layout!r}>"

    arguments: dict[str, Any] = dict.fromkeys(hopper_forward_kernel.arg_names, "i32")
    arguments |= dict.fromkeys(("k_desc", "packed_k_desc", "packed_v_desc"), tile(block_n, block_d))
    arguments |= {"q_desc": tile(64, block_d), "v_desc": tile(*((block_d, block_n) if fp8 else (block_n, block_d)))}
    arguments |= {"out": "*bf16" if fp8 else f"*{dtype}", "lse": "*fp32", "scale": "fp32"}
    arguments |= dict.fromkeys(("blocks", "offsets", "shifts", "spans", "covered", "columns_list"), "*i32")
    arguments |= dict.fromkeys(("q_scale", "k_scale", "v_scale"), "*fp32")
    return arguments | {
        "HEAD_DIM": head_dim,
        "BLOCK_D": block_d,
        "BLOCK_N": block_n,
        "STAGES": config.num_stages,
        "Q_BLOCK": 128,
        "K_BLOCK": 128 if sparse else block_n,
        "CAUSAL": True,
        "SPARSE": sparse,
        "COLUMNS": sparse and not fp8,
        "FP8": fp8,
        "PRODUCER_REGISTERS": 24,
        "CONSUMER_REGISTERS": 240,
    }


def check(capability: int, dtype: str, head_dim: int, sparse: bool, configs: list[Config]) -> None:
    """Compiles each configuration and holds it against the device's limits."""
    for config in configs:
        if config.hopper:
            if dtype == "fp32" or (dtype == "fp8e4nv" and head_dim not in (64, 128)):
                continue  # kernels.triton.hopper_launch.takes refuses these
            from kernels.triton.hopper import hopper_forward_kernel as kernel

            arguments = hopper_arguments(dtype, head_dim, config, sparse)
        else:
            from kernels.triton.forward import attention_forward_kernel as kernel

            arguments = portable_arguments(dtype, head_dim, config, sparse)
        done = compile_kernel(kernel, arguments, capability, num_warps=config.num_warps, num_stages=config.num_stages)
        allowed = SCALARS_SPILLED if config.hopper else 0
        if dtype == "fp32":
            allowed = 512 if head_dim > 128 else 128
        assert done.spills <= allowed, f"{config} spills {done.spills} bytes"
        assert done.shared <= SHARED_LIMIT[capability], f"{config} needs {done.shared} bytes of shared memory"
        assert "serialized" not in done.log, done.log
        if capability == 90 and dtype != "fp32":
            assert "wgmma.mma_async" in done.ptx
        assert ("cp.async.bulk.tensor" in done.ptx) == config.descriptors


@pytest.mark.parametrize(("capability", "dtype", "head_dim", "sparse"), QUICK)
def test_the_default_configuration_compiles(capability: int, dtype: str, head_dim: int, sparse: bool) -> None:
    check(capability, dtype, head_dim, sparse, candidates(divmod(capability, 10), SIZES[dtype], head_dim)[:1])


@pytest.mark.slow
@pytest.mark.parametrize(("capability", "dtype", "head_dim", "sparse"), ALL)
def test_every_configuration_compiles(capability: int, dtype: str, head_dim: int, sparse: bool) -> None:
    check(capability, dtype, head_dim, sparse, candidates(divmod(capability, 10), SIZES[dtype], head_dim))


@pytest.mark.parametrize("capability", [80, 90, 100])
def test_the_kernels_around_attention_compile(capability: int) -> None:
    from kernels.triton.cover import _cover_kernel
    from kernels.triton.plan import _gather_kernel, _plan_kernel

    tables = ("blocks", "offsets", "counts", "shifts", "columns", "column_counts", "spans", "covered")
    plan: dict[str, Any] = dict.fromkeys(_plan_kernel.arg_names, "i32") | dict.fromkeys(tables, "*i32")
    plan |= {"q_lens": None, "kv_lens": None, "VARLEN": False, "STEPS": 14, "COLUMN_STEPS": 11, "TILE": 128}
    plan |= {"Q_BLOCK": 128, "K_BLOCK": 128}
    gather: dict[str, Any] = dict.fromkeys(_gather_kernel.arg_names, "i32")
    gather |= {"x": "*bf16", "packed": "*bf16", "columns": "*i32", "column_counts": "*i32"}
    gather |= {"HEAD_DIM": 96, "BLOCK_D": 128, "TILE": 128, "stride_d": 1}
    cover: dict[str, Any] = {"lefts": "*i32", "starts": "*i32", "used": "*i32", "capacity": "i32"}
    cover |= {"Q_BLOCK": 128, "K_BLOCK": 128, "UNUSED": 2**30}
    for kernel, arguments, warps in ((_plan_kernel, plan, 1), (_gather_kernel, gather, 4), (_cover_kernel, cover, 1)):
        done = compile_kernel(kernel, arguments, capability, num_warps=warps)
        assert done.spills == 0, kernel
        assert done.shared <= SHARED_LIMIT[capability]
    if capability >= 90:
        from kernels.triton.quantize_rows import _quantize_rows_kernel

        rows: dict[str, Any] = dict.fromkeys(_quantize_rows_kernel.arg_names, "i32")
        rows |= {"x": "*bf16", "y": "*fp8e4nv", "scale": "*fp32", "HEAD_DIM": 128, "BLOCK_D": 128, "BLOCK": 32}
        assert compile_kernel(_quantize_rows_kernel, rows, capability).spills == 0
