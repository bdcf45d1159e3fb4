"""Pages in e4m3: each value within half a step of its page's scale, with the page's mean beside."""

from __future__ import annotations

import pytest
import torch

from kernels import ArgumentError, pool, quantize_pages
from kernels.fp8 import dequantize
from tests.kernels.cases import INTERPRETED, PLACES, dtypes, use


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tokens", [64, 200, 1])
def test_pages_come_back_within_their_steps(place: str, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    for dtype in dtypes(place):
        room = torch.randn(2, tokens, 3, 96, device=device) * torch.rand(1, tokens, 1, 1, device=device) * 9
        x = room.to(dtype).transpose(1, 2)  # as a fused product leaves it
        y, scale, means = quantize_pages(x, 64)
        assert y.shape == x.shape
        assert scale.shape == (2, 3, -(-tokens // 64))
        error = (dequantize(y, scale, torch.float32) - x.float()).abs()
        if INTERPRETED:  # it cuts instead of rounding, and loses the carry into the exponent
            assert error.norm() / x.float().norm() <= 0.2
        else:
            steps = x.abs().float() / 16 + scale.repeat_interleave(64, 2)[:, :, :tokens, None] / 1024
            assert (error <= steps * 1.01).all()
        torch.testing.assert_close(means.float(), pool(x.float(), 64), rtol=1e-2, atol=1e-2)


def test_page_sizes_are_powers_of_two() -> None:
    with pytest.raises(ArgumentError, match="size"):
        quantize_pages(torch.randn(1, 1, 4, 8), 48)
