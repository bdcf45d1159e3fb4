"""The norm, the rotation and the gate compile for Ampere, Hopper and Blackwell without spills."""

from __future__ import annotations

import os

import pytest

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter's kernels have nothing to compile", allow_module_level=True)

pytest.importorskip("triton")

from tests.kernels.test_compilation_decode import CAPABILITIES, compiled


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", ["*bf16", "*fp16", "*fp32"])
def test_the_small_parts_of_a_layer_compile(capability: int, dtype: str) -> None:
    from kernels.triton.quantize_pages import quantize_pages_kernel
    from kernels.triton.rms_norm import rms_norm_kernel
    from kernels.triton.rotary import rotate_kernel
    from kernels.triton.swiglu import BLOCK, swiglu_kernel

    norm = {"x": dtype, "weight": dtype, "y": dtype, "eps": "fp32", "DIM": 4096, "BLOCK": 4096}
    assert compiled(rms_norm_kernel, norm, capability, 8).spills == 0
    turn = {"x": dtype, "cos": dtype, "sin": dtype, "HEADS": 40, "BLOCK_H": 8, "HALF": 64, "BLOCK": 64}
    assert compiled(rotate_kernel, turn, capability).spills == 0
    assert compiled(swiglu_kernel, {"x": dtype, "y": dtype, "BLOCK": BLOCK}, capability).spills == 0
    pages = {"x": dtype, "y": "*fp8e4nv", "scale": "*fp32", "means": dtype, "SIZE": 64, "HEAD_DIM": 128, "BLOCK_D": 128}
    if capability >= 90:
        assert compiled(quantize_pages_kernel, pages, capability).spills == 0
