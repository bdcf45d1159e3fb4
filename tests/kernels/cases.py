"""What the kernel tests share: random tensors, poisoned memory, comparison against the float64 reference."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

# Where an operation is tested: torch's CPU path, the Triton kernels under the interpreter, the same kernels on a GPU.
PLACES = [
    pytest.param("cpu", marks=pytest.mark.skipif(INTERPRETED, reason="this run is for the interpreter")),
    pytest.param("interpreter", marks=pytest.mark.skipif(not INTERPRETED, reason="needs TRITON_INTERPRET=1")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]

# float16 has 11 bits, bfloat16 8, e4m3 4: (relative error of the output, absolute error of the lse)
TOLERANCE = {
    torch.float64: (1e-6, 1e-5),
    torch.float32: (2e-5, 2e-5),
    torch.float16: (1e-3, 2e-5),
    torch.bfloat16: (5e-3, 1e-4),
    # Triton's interpreter cuts instead of rounding to e4m3
    torch.float8_e4m3fn: (0.2, 0.3) if INTERPRETED else (0.06, 0.2),
}


def use(place: str, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Chooses the path that `place` stands for; skips where this machine lacks it."""
    if place == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setenv("OMNIBUS_KERNELS", "torch" if place == "cpu" else "triton")
    return torch.device("cuda" if place == "cuda" else "cpu")


def dtypes(place: str) -> list[torch.dtype]:
    """What is worth testing there (bfloat16 is wrong in Triton's interpreter)."""
    return {
        "cpu": [torch.float32, torch.bfloat16],
        "interpreter": [torch.float32, torch.float16],
        "cuda": [torch.bfloat16, torch.float16, torch.float32],
    }[place]


def attention_inputs(
    shape: tuple[int, int, int, int, int, int], device: torch.device, dtype: torch.dtype, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Random q, k, v for (batch, heads, KV heads, queries, keys, head dim); k and v are views into a larger cache
    whose other places hold NaN, as a preallocated cache may."""
    batch, heads, kv_heads, q_len, kv_len, dim = shape
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(batch, heads, q_len, dim, generator=generator)
    room = torch.full((2, batch, kv_heads, kv_len + 24, dim), torch.nan)
    room[:, :, :, :kv_len] = torch.randn(2, batch, kv_heads, kv_len, dim, generator=generator)
    room = room.to(device, dtype)
    return q.to(device, dtype), room[0, :, :, :kv_len], room[1, :, :, :kv_len]


def poison(device: torch.device) -> None:
    """Leaves NaN in memory that the next allocations are likely to get."""
    blocks = [torch.full((1 << n,), torch.nan, device=device) for n in range(8, 23)]
    del blocks


def assert_close(
    got: tuple[Tensor, Tensor],
    want: tuple[Tensor, Tensor],
    dtype: torch.dtype,
    what: str = "",
    *,
    scores_rounded: bool = False,
) -> None:
    """Out and lse agree within the dtype's tolerance; -inf in the same places; no NaN anywhere.

    `scores_rounded`: the path rounds its scores to bfloat16, which the lse shows.
    """
    (out, lse), (out_want, lse_want) = ([x.double().cpu() for x in pair] for pair in (got, want))
    relative, absolute = TOLERANCE[dtype]
    if scores_rounded:
        relative, absolute = 2 * relative, 0.02
    assert not out.isnan().any(), f"{what}: NaN in out"
    assert not lse.isnan().any(), f"{what}: NaN in lse"
    empty = lse_want == -torch.inf
    assert torch.equal(lse == -torch.inf, empty), f"{what}: -inf of lse elsewhere"
    assert (out[empty] == 0).all(), f"{what}: out of a query without keys is not 0"
    if not empty.all():
        error = (out - out_want).norm() / out_want.norm().clamp_min(1e-30)
        assert error <= relative, f"{what}: relative error {error:.1e} of out"
        assert (lse - lse_want)[~empty].abs().max() <= absolute, f"{what}: error of lse"
