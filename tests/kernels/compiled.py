"""Compiles Triton kernels for a GPU that is not here and reads what the assembler says of them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

SHARED_LIMIT = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}


@dataclass(frozen=True, slots=True)
class Compiled:
    """One compiled kernel: its resource use and its assembly text."""

    registers: int
    spills: int
    shared: int
    ptx: str
    log: str


def compile_kernel(
    kernel: Any, arguments: dict[str, Any], capability: int, *, num_warps: int = 4, num_stages: int = 2
) -> Compiled:
    """Compiles `kernel` for sm_<capability>.

    `arguments` maps every parameter to a Triton type ("*bf16", "i32", "tensordesc<bf16[1, 1, 64, 128]>"), or to the
    value of a constexpr (also None for an absent tensor). Pointers and strides are taken as divisible by 16, as Triton
    finds them at run time.
    """
    signature: dict[str, str] = {}
    constants: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], list[list[Any]]] = {}
    constexpr = {p.name for p in kernel.params if p.is_constexpr}
    for place, name in enumerate(kernel.arg_names):
        value = arguments[name]
        if name in constexpr or not isinstance(value, str) or not _is_type(value):
            signature[name] = "constexpr"
            constants[(place,)] = value
        else:
            signature[name] = value
            if value.startswith("*") or name.startswith("stride_"):
                attributes[(place,)] = [["tt.divisibility", 16]]
    source = kernel_source(kernel, signature, constants, attributes)
    target = GPUTarget("cuda", capability, 32)
    binary = triton.compile(source, target=target, options={"num_warps": num_warps, "num_stages": num_stages})
    log = _assemble(binary.asm["ptx"], capability)
    spills = sum(int(n) for n in re.findall(r"(\d+) bytes spill stores", log))
    registers = max([int(n) for n in re.findall(r"Used (\d+) registers", log)] or [0])
    return Compiled(registers, spills, binary.metadata.shared, binary.asm["ptx"], log)


def kernel_source(kernel: Any, signature: dict[str, str], constants: dict, attributes: dict) -> ASTSource:
    """The compiler's input, for Triton's and for Gluon's dialect."""
    if type(kernel).__name__ == "GluonJITFunction":
        from triton.experimental.gluon._runtime import GluonASTSource

        return GluonASTSource(kernel, signature, constants, attributes)
    return ASTSource(kernel, signature, constants, attributes)


def _is_type(text: str) -> bool:
    return text.startswith(("*", "tensordesc<")) or text in {"i1", "i32", "i64", "u32", "fp32", "fp64"}


def _assemble(ptx: str, capability: int) -> str:
    """ptxas's resource report of the kernel."""
    from triton.backends.nvidia import compiler

    arch = f"sm_{capability}a" if capability >= 90 else f"sm_{capability}"
    tool = Path(compiler.__file__).parent / "bin" / ("ptxas-blackwell" if capability >= 100 else "ptxas")
    if not tool.exists():
        tool = tool.with_name("ptxas")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        run = subprocess.run(
            [str(tool), "-v", f"--gpu-name={arch}", str(source), "-o", str(Path(folder) / "kernel.cubin")],
            capture_output=True,
            text=True,
            check=True,
        )
    return run.stdout + run.stderr
