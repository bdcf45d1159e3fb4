"""The decode, scoring and selecting kernels compile for Ampere, Hopper and Blackwell within their limits."""

from __future__ import annotations

import os
from typing import Any

import pytest

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter's kernels have nothing to compile", allow_module_level=True)

triton = pytest.importorskip("triton")

from tests.kernels.compiled import SHARED_LIMIT, Compiled, compile_kernel  # noqa: E402

ITEM = {"bf16": 2, "fp16": 2, "fp32": 4, "fp8e4nv": 1}
CAPABILITIES = [80, 90, 100]
SPILLED = 512
"""Bytes a thread may spill in float32, which is for checking, not for speed."""


def compiled(kernel: Any, arguments: dict[str, Any], capability: int, warps: int = 4, stages: int = 2) -> Compiled:
    """Compiles, and holds the result against the device's limits."""
    everything: dict[str, Any] = dict.fromkeys(kernel.arg_names, "i32") | arguments
    done = compile_kernel(kernel, everything, capability, num_warps=warps, num_stages=stages)
    assert done.shared <= SHARED_LIMIT[capability], f"{done.shared} bytes of shared memory"
    return done


def decode_arguments(dtype: str, head_dim: int, block_m: int, block_n: int, page: int, mass: bool) -> dict[str, Any]:
    """Types and constants of the decode kernel, as kernels.triton.decode_attention passes them."""
    fp8 = dtype == "fp8e4nv"
    return {
        "q": "*bf16" if fp8 else f"*{dtype}",
        "k": f"*{dtype}",
        "v": f"*{dtype}",
        "parts": "*fp32",
        "part_logs": "*fp32",
        "tile_logs": "*fp32" if mass else None,
        "kv_lens": None,
        "page_numbers": "*i32" if page else None,
        "page_counts": "*i32" if page else None,
        "k_scale": "*fp32" if fp8 else None,
        "v_scale": "*fp32" if fp8 else None,
        "stride_vd": 1,
        "scale": "fp32",
        "HEAD_DIM": head_dim,
        "BLOCK_D": triton.next_power_of_2(head_dim),
        "BLOCK_M": block_m,
        "BLOCK_N": block_n,
        "PAGE": page,
        "CAUSAL": False,
        "VARLEN": False,
        "FP8": fp8,
        "SCALE_BLOCK": 0,
        "MASS": mass,
        "PRECISION": "tf32x3" if dtype == "fp32" else "tf32",
    }


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("head_dim", [64, 128, 256])
@pytest.mark.parametrize("rows", [4, 128])
def test_decode_compiles(capability: int, head_dim: int, rows: int) -> None:
    from kernels.triton.decode import combine_kernel, decode_kernel
    from kernels.triton.decode_attention import tiles_for

    for dtype in ITEM:
        if dtype == "fp8e4nv" and capability < 90:
            continue
        tiles = tiles_for(divmod(capability, 10), rows, head_dim, 2 if dtype == "fp8e4nv" else ITEM[dtype])
        for page, mass in ((0, False), (128, True)):
            arguments = decode_arguments(dtype, head_dim, tiles.block_m, tiles.block_n, page, mass)
            done = compiled(decode_kernel, arguments, capability, tiles.num_warps, tiles.num_stages)
            assert done.spills <= (SPILLED if dtype == "fp32" else 16), (dtype, page, mass)
            assert "cp.async" in done.ptx or dtype == "fp32"
    arguments = {"parts": "*fp32", "part_logs": "*fp32", "out": "*bf16", "lse": "*fp32"}
    arguments |= {"HEAD_DIM": head_dim, "BLOCK_D": head_dim, "TILE": 16}
    assert compiled(combine_kernel, arguments, capability).spills == 0


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize(
    ("dtype", "head_dim"), [("bf16", 64), ("bf16", 128), ("bf16", 256), ("fp32", 64), ("fp32", 128)]
)
def test_antidiagonal_scores_compile(capability: int, dtype: str, head_dim: int) -> None:
    from kernels.triton.antidiagonal_scores import block_sums_kernel, strided_sums_kernel, tiles_for

    tiles = tiles_for(divmod(capability, 10), ITEM[dtype], head_dim)
    described = capability >= 90 and dtype != "fp32"
    q_desc, k_desc = (f"tensordesc<{dtype}[1, 1, {rows}, 1, {head_dim}]>" for rows in (tiles.block_m, tiles.block_n))
    kind = "*fp32" if dtype == "fp32" else "*fp16"
    arguments: dict[str, Any] = {
        "q": f"*{dtype}",
        "k": f"*{dtype}",
        "q_desc": q_desc if described else None,
        "k_desc": k_desc if described else None,
        "sums": kind,
        "tops": "*fp32",
        "logs": "*fp32",
        "factor": "fp32",
        "STRIDE": 16,
        "EDGE": 8,
        "HEAD_DIM": head_dim,
        "BLOCK_D": head_dim,
        "BLOCK_M": tiles.block_m,
        "BLOCK_N": tiles.block_n,
        "DESCRIPTORS": described,
        "FLATTEN": tiles.flatten,
        "PRECISION": "tf32x3" if dtype == "fp32" else "tf32",
    }
    done = compiled(strided_sums_kernel, arguments, capability, tiles.num_warps, tiles.num_stages)
    assert done.spills <= (SPILLED if dtype == "fp32" else 16)
    if described:
        assert "cp.async.bulk.tensor" in done.ptx
    arguments = {"sums": kind, "tops": "*fp32", "logs": "*fp32", "out": "*fp32", "EDGE": 8, "PER_TILE": 16, "TILE": 256}
    assert compiled(block_sums_kernel, arguments, capability).spills == 0


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_last_query_scores_compile(capability: int, dtype: str) -> None:
    from kernels.triton.last_query_scores import _logs_kernel, _sums_kernel

    exact = dtype == "fp32"
    allowed = SPILLED if exact else 0
    shapes = ((64, 32, 4), (128, 32, 4)) if exact else ((64, 64, 4), (128, 64, 4), (128, 128, 8), (256, 128, 8))
    for head_dim, block_m, warps in shapes:
        arguments: dict[str, Any] = {"q": f"*{dtype}", "k": f"*{dtype}", "logs": "*fp32", "factor": "fp32"}
        arguments |= {"HEAD_DIM": head_dim, "BLOCK_D": head_dim, "BLOCK_M": block_m, "BLOCK_N": 32 if exact else 128}
        arguments |= {"PRECISION": "tf32x3" if dtype == "fp32" else "tf32"}
        stages = 1 if head_dim > 128 else 2
        assert compiled(_logs_kernel, arguments, capability, warps, stages).spills <= allowed
        arguments |= {"vertical": "*fp32", "slash": "*fp32"}
        assert compiled(_sums_kernel, arguments, capability, 8, stages).spills <= (
            SPILLED if block_m > 64 else max(allowed, 16)
        )


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_selection_compiles(capability: int) -> None:
    from kernels.triton.select_long import DIGITS, PART, SLOTS, digit_kernel, list_kernel
    from kernels.triton.select_short import select_short_kernel

    tables: dict[str, Any] = {"scores": "*fp32", "targets": "*fp32", "forced": "*u8", "allowed": "*i32"}
    tables |= {"places": "*i32", "counts": "*i32", "COUNT": False, "FORCED": True, "LIMITED": True}
    for block, warps in ((16384, 16), (4096, 8), (256, 1)):
        assert compiled(select_short_kernel, tables | {"BLOCK": block}, capability, warps).spills == 0
    tables |= {"worths": "*fp32", "thresholds": "*i32", "goals": "*fp32", "kept": "*i32", "before": "*i32"}
    tables |= {"BLOCK": PART, "SLOTS": SLOTS, "DIGITS": DIGITS}
    for kernel in (digit_kernel, list_kernel):
        own = {name: value for name, value in tables.items() if name in kernel.arg_names}
        assert compiled(kernel, own, capability, 8).spills == 0


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_columns_and_blocks_compile(capability: int, dtype: str) -> None:
    from kernels.triton.choose_blocks import choose_blocks_kernel
    from kernels.triton.column_scores import column_scores_kernel
    from kernels.triton.column_shares import column_shares_kernel

    exact = dtype == "fp32"
    arguments: dict[str, Any] = {"q": f"*{dtype}", "k": f"*{dtype}", "logs": "*fp32", "out": "*fp32", "factor": "fp32"}
    arguments |= {"positions": "*i32", "HEAD_DIM": 128, "BLOCK_D": 128, "PRECISION": "tf32x3" if exact else "tf32"}
    scores = arguments | {
        "blocks": "*i32",
        "BLOCK": 128,
        "BLOCK_M": 32 if exact else 64,
        "BLOCK_N": 32 if exact else 128,
    }
    assert compiled(column_scores_kernel, scores, capability, 4, 1 if exact else 2).spills <= (SPILLED if exact else 0)
    shares = arguments | {"columns": "*i32", "counts": "*i32", "PER": 4}
    shares |= {"BLOCK_M": 32 if exact else 64, "BLOCK_N": 32 if exact else 64}
    assert compiled(column_shares_kernel, shares, capability, 4).spills <= (2 * SPILLED if exact else 0)
    tables = dict.fromkeys(["scores", "held", "aim", "rest"], "*fp32")
    tables |= dict.fromkeys(["columns", "column_counts", "starts", "counts"], "*i32") | {"BLOCK": 128, "WEIGHT": 0.5}
    for width, warps in ((1024, 4), (8192, 16)):
        done = compiled(choose_blocks_kernel, tables | {"N": width, "C": 1024}, capability, warps)
        assert done.spills == 0, width
