"""The norm, the rotation and the gate between a layer's matrix products, against their formulas in float64."""

from __future__ import annotations

import pytest
import torch

from kernels import ArgumentError, rms_norm, rotate, swiglu
from tests.kernels.cases import PLACES, TOLERANCE, dtypes, use


def close(got: torch.Tensor, want: torch.Tensor, dtype: torch.dtype) -> None:
    """Within three roundings of the dtype."""
    error = (got.double().cpu() - want.cpu()).norm() / want.norm().cpu()
    assert error <= TOLERANCE[dtype][0], f"relative error {error:.1e}"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dim", [64, 96, 576, 4096])
def test_rms_norm_divides_by_the_root_mean_square(place: str, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    for dtype in dtypes(place):
        x, weight = torch.randn(2, 5, dim, device=device).to(dtype), torch.randn(dim, device=device).to(dtype)
        exact = x.double()
        want = exact / (exact.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight.double()
        close(rms_norm(x, weight, 1e-6), want, dtype)


@pytest.mark.parametrize("place", PLACES)
def test_rms_norm_takes_the_heads_of_a_wider_row(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    row = torch.randn(1, 7, 10, 32, device=device)
    part, weight = row[:, :, 6:8], torch.randn(32, device=device)
    assert not part.is_contiguous()
    got = rms_norm(part, weight, 1e-5)
    torch.testing.assert_close(got, rms_norm(part.contiguous(), weight, 1e-5))
    assert got.is_contiguous()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("dim", "turned"), [(64, 64), (96, 96), (128, 64), (80, 80)])
def test_rotation_turns_the_halves_of_each_head(
    place: str, dim: int, turned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    for dtype in dtypes(place):
        row = torch.randn(2, 9, 5, dim, device=device).to(dtype)
        before = row.double().cpu()
        angles = torch.rand(2, 9, turned // 2, dtype=torch.float64).repeat(1, 1, 2) * 6
        cos, sin = angles.cos().to(device, dtype), angles.sin().to(device, dtype)
        rotate(row[:, :, :3], cos, sin)  # the last two heads are somebody else's
        pairs = torch.view_as_complex(torch.stack(before[:, :, :3, :turned].chunk(2, -1), -1).contiguous())
        turn = torch.polar(torch.ones_like(angles), angles)[:, :, None, : turned // 2]
        done = torch.view_as_real(pairs * turn)
        want = torch.cat((done[..., 0], done[..., 1], before[:, :, :3, turned:]), -1)
        close(row[:, :, :3], want, dtype)
        assert torch.equal(row[:, :, 3:].double().cpu(), before[:, :, 3:])


def test_rotation_says_which_shape_of_angles_it_takes() -> None:
    with pytest.raises(ArgumentError, match="cos"):
        rotate(torch.randn(1, 4, 2, 8), torch.randn(1, 3, 8), torch.randn(1, 3, 8))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("width", [64, 1536, 1000])
def test_swiglu_opens_the_gate(place: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    for dtype in dtypes(place):
        x = torch.randn(3, 4, 2 * width, device=device).to(dtype)
        gate, up = x.double().chunk(2, -1)
        close(swiglu(x), gate / (1 + (-gate).exp()) * up, dtype)
