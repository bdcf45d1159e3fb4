"""One small run of every kernel, for compute-sanitizer: `compute-sanitizer python -m tests.benchmarks.sanitize`.

With the argument `control` only a kernel that starts warp-specialised partitions which do nothing: what racecheck
reports of it is Triton's own hand-over of arguments to partitions, whose barriers the tool does not follow.
"""

from __future__ import annotations

import sys

import torch
from triton.experimental import gluon
from triton.experimental.gluon import language as gl

from kernels import (
    BlockIndex,
    Pages,
    antidiagonal_scores,
    decode_attention,
    dense_attention,
    last_query_scores,
    sampled_scores,
    select_keys,
    sparse_attention,
)
from kernels.device import Config
from kernels.fp8 import quantize
from kernels.problem import check
from kernels.triton.launch import attend


@gluon.jit
def _partition(x, number: gl.constexpr):
    gl.store(x + number, number)


@gluon.jit
def _control_kernel(x):
    gl.warp_specialize([(_partition, (x, 0)), (_partition, (x, 1)), (_partition, (x, 2))], [4, 1], [240, 24])


def control() -> None:
    """Starts partitions that store one number each."""
    x = torch.zeros(3, dtype=torch.int32, device="cuda")
    _control_kernel[(8,)](x, num_warps=4)
    print("control:", x.tolist())


def main() -> None:
    """Dense, sparse with columns and diagonals, e4m3, by the default and the portable kernel; decode and estimates."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, h, t, 128, device="cuda").bfloat16() for h, t in ((4, 200), (2, 333), (2, 333)))
    columns = torch.arange(0, 333, 5, device="cuda", dtype=torch.int32).expand(1, 2, -1)
    diagonals = torch.tensor([0, 40, 300], device="cuda", dtype=torch.int32).expand(1, 2, -1)
    index = BlockIndex.vertical_slash(columns, diagonals, q_len=200, kv_len=333)
    (k8, k_scale), (v8, v_scale) = quantize(k), quantize(v)
    dense_attention(q, k, v)
    sparse_attention(q, k, v, index)
    dense_attention(q, k8, v8, k_scale=k_scale, v_scale=v_scale)
    nothing = {"q_lens": None, "kv_lens": None, "k_scale": None, "v_scale": None}
    for config in (Config(128, 64, 8, 3, True), Config(64, 64, 4, 2)):
        attend(q, k, v, check(q, k, v), causal=True, index=None, config=config, **nothing)
        attend(q, k, v, check(q, k, v, index=index), causal=True, index=index, config=config, **nothing)
    numbers = torch.tensor([[[0, 3, 9]]], device="cuda")
    decode_attention(q[:, :, -2:], k, v, mass_block=64)
    decode_attention(q[:, :, -1:], k8, v8, k_scale=k_scale, v_scale=v_scale, pages=Pages.of(numbers, 32))
    sampled_scores(q[:, :, ::7], k, torch.arange(133, 333, 7, device="cuda", dtype=torch.int32), per=2)
    for scores in (*last_query_scores(q[:, :, -64:], k), torch.rand(3, 9000, device="cuda")):
        select_keys(scores, mass=0.9)
    antidiagonal_scores(q[:, :, 11:], k)  # 144 keys before: whole strides, no whole blocks
    antidiagonal_scores(q[:, :, :192], k[:, :, :192])
    torch.cuda.synchronize()
    print("every kernel ran")


if __name__ == "__main__":
    control() if sys.argv[1:] == ["control"] else main()
