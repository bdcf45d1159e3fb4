"""Selection: no smaller set of higher scores would do, and what must be taken is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels import ArgumentError, select_keys
from tests.kernels.cases import INTERPRETED, PLACES, poison, use


def scores_like_attention(rows: int, n: int, seed: int = 0) -> Tensor:
    """Few large, many small, on a grid of 2**-20: sums are exact in float32, so that paths cannot differ."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, n, generator=generator).mul(2).exp()
    x = x / x.sum(-1, keepdim=True)
    return (x * 2**20).round() / 2**20


def chosen(places: Tensor, counts: Tensor, n: int) -> Tensor:
    """The places as a mask; checks order and filling."""
    live = torch.arange(n, device=places.device) < counts.unsqueeze(-1)
    assert (places[~live] == n).all()
    assert (places.diff(dim=-1)[live[..., 1:]] > 0).all()
    mask = torch.zeros(*counts.shape, n + 1, dtype=torch.bool, device=places.device)
    return mask.scatter_(-1, places.long(), True)[..., :n]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("n", [1, 17, 1000, 17_000] if INTERPRETED else [1, 17, 1000, 8193, 40_000])
@pytest.mark.parametrize("mass", [0.0, 0.5, 0.95, 1.0])
def test_the_fewest_highest_scores_hold_the_mass(
    place: str, n: int, mass: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    scores = scores_like_attention(5, n).to(device)
    poison(device)
    mask = chosen(*select_keys(scores, mass=mass), n)
    for row, keep in zip(scores, mask, strict=True):
        kept, total = row[keep].double().sum(), row.double().sum()
        assert kept >= mass * total * (1 - 1e-6)
        if keep.any():
            lowest = row[keep].min()
            assert (row[~keep] < lowest).all()
            assert row[row > lowest].double().sum() < mass * total  # without the lowest it would not do


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("n", [17, 1000, 17_000] if INTERPRETED else [17, 1000, 20_000])
def test_counts_are_met_and_ties_come_along(place: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    scores = (
        (torch.randperm(n, generator=torch.Generator().manual_seed(1)) + 1).float().expand(3, n).contiguous().to(device)
    )
    _, counts = select_keys(scores, count=torch.tensor([0, 5, n + 9], device=device))
    assert counts.tolist() == [0, 5, n]
    assert chosen(*select_keys(scores, count=5), n)[0].nonzero().flatten().tolist() == sorted(
        scores[0].topk(5).indices.tolist()
    )
    _, counts = select_keys(torch.full((1, n), 0.5, device=device), count=5)
    assert counts.tolist() == [n]


@pytest.mark.parametrize("place", PLACES)
def test_forced_places_come_first_and_count(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    scores = torch.tensor([[8.0, 1, 4, 2, 1, 0, 16]], device=device)
    forced = torch.tensor([False, True, False, False, False, True, False], device=device)
    assert select_keys(scores, mass=0.5, forced=forced)[0][0, :3].tolist() == [1, 5, 6]
    assert select_keys(scores, count=3, forced=forced)[0][0, :4].tolist() == [1, 5, 6, 7]
    assert select_keys(scores, mass=0.01, forced=forced)[1].tolist() == [2]


@pytest.mark.parametrize("place", PLACES)
def test_places_that_do_not_exist_are_never_taken(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    scores = torch.tensor([[1.0, 2, -1, 4, 50], [1, 2, 3, 4, 5]], device=device)
    allowed = torch.tensor([4, 2], dtype=torch.int32, device=device)
    forced = torch.tensor([False, False, True, False, True], device=device)
    places, counts = select_keys(scores, mass=1.0, forced=forced, allowed=allowed)
    assert counts.tolist() == [3, 2]
    assert places[0, :3].tolist() == [0, 1, 3]
    assert places[1, :2].tolist() == [0, 1]


@pytest.mark.parametrize("place", PLACES)
def test_rows_of_zeros_and_each_row_its_own_mass(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    scores = torch.zeros(2, 3, 40, device=device)
    scores[1] = scores_like_attention(3, 40).to(device)
    mass = torch.tensor([0.1, 0.5, 0.99], device=device)
    counts = select_keys(scores, mass=mass)[1]
    assert counts[0].tolist() == [0, 0, 0]
    assert counts[1, 0] < counts[1, 2]
    assert select_keys(scores[..., :0], mass=0.5)[1].tolist() == [[0] * 3] * 2


def test_one_target_is_needed() -> None:
    for arguments in ({}, {"mass": 0.5, "count": 3}):
        with pytest.raises(ArgumentError, match="one of the two"):
            select_keys(torch.rand(2, 5), **arguments)  # type: ignore[arg-type]
